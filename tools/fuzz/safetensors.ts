/**
 * Folders as published on model hubs: config, tokenizer, index and weights.
 *
 * @module
 */
import { join } from "node:path";
import { ModelError } from "../../core/errors.ts";
import type { ModelSpec } from "../../core/model.ts";
import { modelSpec } from "../../models/arch/mod.ts";
import type { ModelFile } from "../../models/model_file.ts";
import { openSafetensors } from "../../models/safetensors.ts";
import { hubModel } from "../../models/testing/hub_model.ts";
import { createTokenizer, type Tokenizer } from "../../models/tokenizer.ts";
import { bendFolder } from "./bend_folder.ts";
import { checkSpec, checkTokenizer } from "./check_spec.ts";
import { loadOnce } from "./load_once.ts";
import { type PlainStored, readPlainSafetensors } from "./plain_safetensors.ts";
import { runOnce } from "./run_once.ts";
import {
  checkMessage,
  claim,
  Finding,
  type Sample,
  type Target,
  type Use,
} from "./target.ts";
import { readFolder, sampleFolder } from "./temp_folder.ts";

async function seeds(): Promise<readonly Sample[]> {
  const all: Sample[] = [];
  for (const style of [{}, { shards: 2, dtype: "BF16" as const }]) {
    await using model = await hubModel(style);
    all.push(readFolder(model.path));
  }
  return all;
}

type Loaded = { file: ModelFile; spec: ModelSpec; tokenizer: Tokenizer };

async function open(folder: string): Promise<Loaded | string> {
  try {
    const file = await openSafetensors(folder), spec = modelSpec(file);
    return { file, spec, tokenizer: createTokenizer(file) };
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    claim(error.file.startsWith(folder), `an error of ${error.file}`);
    return checkMessage(error.message);
  }
}

/** The files with weights as they stand there, each tensor that is read within one. */
function checkWeights(file: ModelFile, sample: Sample, folder: string): void {
  const stored = file.files.map(({ path, bytes }): PlainStored[] => {
    const own = sample.get(path.slice(folder.length + 1));
    claim(own !== undefined && own.length === bytes, `${path} is another file`);
    try {
      return readPlainSafetensors(own);
    } catch (error) {
      throw new Finding(`accepted, but ${(error as Error).message}`);
    }
  });
  const taken: [file: number, from: number, to: number][] = [];
  for (const t of file.tensors.values()) {
    const from = t.offset, to = t.offset + t.bytes;
    const home = stored[t.file]!.find((s) => s.from <= from && s.to >= to);
    claim(home !== undefined, `${t.name} is within no tensor`);
    claim(
      home.dtype === t.type,
      `${t.name} is ${t.type}, stored as ${home.dtype}`,
    );
    claim(home.shape.at(-1) === t.inputs, `${t.name} has rows of ${t.inputs}`);
    const size = t.type === "F32" ? 4 : 2;
    claim(
      t.inputs * t.outputs * t.stack * size === t.bytes,
      `${t.name} has ${t.bytes} bytes`,
    );
    taken.push([t.file, from, to]);
  }
  taken.sort((a, b) => a[0] - b[0] || a[1] - b[1]);
  taken.forEach(([of, from], i) => {
    const before = taken[i - 1];
    claim(
      before === undefined || before[0] !== of || before[2] <= from,
      "tensors overlap",
    );
  });
}

/** Sizes that config.json has under names of its own. */
const SIZES: readonly (readonly [string, (spec: ModelSpec) => number])[] = [
  ["hidden_size", (s) => s.hidden],
  ["num_hidden_layers", (s) => s.layers.length],
  ["vocab_size", (s) => s.vocab],
  ["num_attention_heads", (s) => s.layers[0]!.qHeads],
  ["num_key_value_heads", (s) => s.layers[0]!.kvHeads],
  ["head_dim", (s) => s.layers[0]!.headDim],
  ["intermediate_size", (s) => s.layers[0]!.mlp!.ffn],
  ["rms_norm_eps", (s) => s.normEps],
  ["max_position_embeddings", (s) => s.context],
];

function checkWords(
  { file, spec }: Loaded,
  sample: Sample,
): void {
  const json = (name: string) =>
    JSON.parse(new TextDecoder().decode(sample.get(name)!));
  const config = json("config.json");
  for (const [key, of] of SIZES) {
    const said = Object.hasOwn(config, key)
      ? config[key] ?? undefined
      : undefined;
    claim(
      said === undefined || said === of(spec),
      `"${key}" is ${said}, read as ${of(spec)}`,
    );
  }
  const { model, added_tokens: added = [] } = json("tokenizer.json");
  const tokens = file.vocabulary!.tokens, late = new Map<number, string>();
  for (const { id, content } of added ?? []) late.set(id, content);
  for (const [text, id] of Object.entries<number>(model.vocab)) {
    if (id >= tokens.length) continue;
    const is = tokens[id];
    claim(
      is === text || is === late.get(id),
      `token ${id} is ${is}, not ${text}`,
    );
  }
  claim(
    file.vocabulary!.types!.every((t) => t >= 1 && t <= 6),
    "a kind that there is not",
  );
  const { ends = [] } = file.vocabulary!;
  claim(
    ends.every((id) => id >= 0 && id < tokens.length),
    "an end that is no token",
  );
}

async function read(sample: Sample, use: Use): Promise<string | undefined> {
  const folder = sampleFolder(sample), found = await open(folder);
  if (typeof found === "string") return found;
  const { file, spec, tokenizer } = found;
  checkWeights(file, sample, folder);
  checkSpec(spec, file);
  checkTokenizer(tokenizer, file);
  checkWords(found, sample);
  if (use !== "read") {
    const absolute = [...sample].map(([n, b]) => [join(folder, n), b] as const);
    await runOnce(spec, file, new Map(absolute));
  }
  if (use === "load") await loadOnce(spec, sample, "");
  return undefined;
}

/** A folder. */
export const safetensors: Target = {
  name: "safetensors",
  weight: 3,
  runs: true,
  seeds,
  mutate: (seeds, random) =>
    bendFolder(seeds, random, /^config\.json$|\.safetensors$/),
  read,
};
