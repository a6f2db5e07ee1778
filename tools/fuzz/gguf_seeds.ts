/**
 * Good GGUF files to bend: tiny ones that are made here, and those of the shared
 * fixtures where they are there.
 *
 * @module
 */
import { VALUE } from "../../models/gguf/value_types.ts";
import { type Entry, writeGguf } from "../../models/testing/gguf_writer.ts";
import { FIXTURES } from "../../models/testing/files.ts";
import { tinyChat } from "../../models/testing/tiny_chat.ts";
import {
  type Changes,
  deeper,
  tinyLlama,
} from "../../models/testing/tiny_llama.ts";
import { readPlain } from "./plain_gguf.ts";
import type { Sample } from "./target.ts";

/** Larger files make runs slow and are bent no differently. */
const MOST = 400_000;

/** Seeds of these architectures; the made ones several times, for they are quick. */
export async function ggufSeeds(
  known: ReadonlySet<string>,
): Promise<readonly Sample[]> {
  const made = tinySeeds(), read: Sample[] = [];
  for await (const bytes of fixtures()) {
    const arch = readPlain(bytes).entries.find((e) =>
      e.key === "general.architecture"
    );
    if (known.has(String(arch?.value))) {
      read.push(new Map([["model.gguf", bytes]]));
    }
  }
  const times = Math.max(1, Math.ceil(6 * read.length / made.length));
  return [...Array.from({ length: times }, () => made).flat(), ...read];
}

function entries(list: readonly Entry[]): Changes {
  return Object.fromEntries(list.map((entry) => [entry[0], entry]));
}

/** Models of a few KiB: byte-level, SentencePiece, several layers, windows, types. */
function tinySeeds(): Sample[] {
  const { changes, shapes } = deeper(2, 64);
  const tokens = ["<unk>", "<s>", "</s>", "▁", "a", "b", "ab", "<0x41>"];
  const sentencePiece = entries([
    ["tokenizer.ggml.model", VALUE.STRING, "llama"],
    ["tokenizer.ggml.tokens", VALUE.ARRAY, VALUE.STRING, tokens],
    ["tokenizer.ggml.token_type", VALUE.ARRAY, VALUE.I32, [
      2,
      3,
      3,
      1,
      1,
      1,
      1,
      6,
    ]],
    ["tokenizer.ggml.scores", VALUE.ARRAY, VALUE.F32, [
      0,
      0,
      0,
      -1,
      -2,
      -3,
      -4,
      0,
    ]],
    ["tokenizer.ggml.add_space_prefix", VALUE.BOOL, true],
  ]);
  const details = entries([
    ["llama.attention.sliding_window", VALUE.U32, 16],
    ["llama.attention.key_length", VALUE.U32, 16],
    ["llama.attention.value_length", VALUE.U32, 16],
    ["llama.rope.dimension_count", VALUE.U32, 16],
    ["llama.rope.freq_base", VALUE.F32, 500_000],
    ["llama.rope.scaling.type", VALUE.STRING, "linear"],
    ["llama.rope.scaling.factor", VALUE.F32, 4],
    ["general.alignment", VALUE.U32, 32],
  ]);
  const perLayer = entries([
    ["llama.attention.head_count", VALUE.ARRAY, VALUE.U32, [2, 2]],
    ["llama.attention.head_count_kv", VALUE.ARRAY, VALUE.I32, [1, 1]],
  ]);
  const yarn = entries([
    ["llama.rope.scaling.type", VALUE.STRING, "yarn"],
    ["llama.rope.scaling.factor", VALUE.F32, 4],
    ["llama.rope.scaling.original_context_length", VALUE.U32, 16],
    ["llama.rope.scaling.attn_factor", VALUE.F32, 1],
    ["llama.rope.scaling.yarn_beta_fast", VALUE.F32, 32],
    ["llama.rope.scaling.yarn_beta_slow", VALUE.F32, 1],
  ]);
  const experts = entries([
    ["llama.expert_count", VALUE.U32, 4],
    ["llama.expert_used_count", VALUE.U32, 2],
  ]);
  return [
    tinyLlama(experts, {
      "blk.0.ffn_gate.weight": undefined,
      "blk.0.ffn_up.weight": undefined,
      "blk.0.ffn_down.weight": undefined,
      "blk.0.ffn_gate_inp.weight": [32, 4],
      "blk.0.ffn_gate_exps.weight": [32, 32, 4],
      "blk.0.ffn_up_exps.weight": [32, 32, 4],
      "blk.0.ffn_down_exps.weight": [32, 32, 4],
    }),
    tinyLlama(yarn),
    tinyLlama({}, {
      "rope_factors_long.weight": [8],
      "rope_factors_short.weight": [8],
    }),
    tinyLlama(),
    tinyChat(),
    tinyLlama({ ...changes, ...details }, shapes),
    tinyLlama({ ...changes, ...perLayer, ...sentencePiece }, {
      ...shapes,
      "output.weight": [32, 8],
      "rope_freqs.weight": [8],
    }),
  ].map((file) => new Map([["model.gguf", writeGguf(file)]]));
}

async function* fixtures(): AsyncGenerator<Uint8Array<ArrayBuffer>> {
  const folder = new URL("tiny/dev/", FIXTURES);
  const names: string[] = [];
  try {
    for await (const { name } of Deno.readDir(folder)) {
      if (name.endsWith(".gguf")) names.push(name);
    }
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  for (const name of [...names.sort(), "malformed/control.gguf"]) {
    const bytes = await Deno.readFile(new URL(name, folder));
    if (bytes.length <= MOST) yield bytes;
  }
}
