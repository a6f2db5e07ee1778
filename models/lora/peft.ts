/**
 * Adapters as PEFT saves them: `adapter_config.json` and `adapter_model.safetensors`
 * in one folder.
 *
 * ```text
 *  base_model.model.model.layers.3.self_attn.q_proj.lora_A.weight     rank × inputs
 *  base_model.model.model.layers.3.self_attn.q_proj.lora_B.weight     outputs × rank
 * ```
 *
 * @module
 */
import { dirname, join } from "node:path";
import { ModelError } from "../../core/errors.ts";
import type { ModelSpec } from "../../core/model.ts";
import { quote } from "../gguf/walk.ts";
import {
  headerBytes,
  parseHeader,
  type StoredTensor,
} from "../safetensors/header.ts";
import type { Pair, Part, Target } from "./fit.ts";
import { type PeftConfig, peftConfig } from "./peft_config.ts";
import type { AdapterFile, StoredMatrix } from "./stored.ts";

const PARTS: Readonly<Record<string, readonly Part[]>> = {
  "self_attn.q_proj": ["q"],
  "self_attn.k_proj": ["k"],
  "self_attn.v_proj": ["v"],
  "self_attn.qkv_proj": ["q", "k", "v"],
  "self_attn.o_proj": ["attnOut"],
  "mlp.gate_proj": ["gate"],
  "mlp.up_proj": ["up"],
  "mlp.gate_up_proj": ["gate", "up"],
  "mlp.down_proj": ["down"],
};

/** The modules that can take an adapter, for messages. */
const KNOWN = `${
  Object.keys(PARTS).map((p) => p.split(".")[1]).join(", ")
} of a layer, or lm_head`;

/**
 * PEFT saves the output of the model itself too where that is adapted, for vocabularies
 * that were made larger; one as large as the model's is the model's own.
 */
const HEAD_COPY = "base_model.model.lm_head.base_layer.weight";

/** No configuration is longer, bytes. */
const MOST_CONFIG = 1 << 20;

/** Name of the weights in a folder. */
export const PEFT_WEIGHTS = "adapter_model.safetensors";
/** Name of the configuration. */
export const PEFT_CONFIG = "adapter_config.json";

/** What a configuration and weights say. */
export interface PeftAdapter {
  readonly pairs: readonly Pair[];
  /** The configuration's bytes: part of the content. */
  readonly config: Uint8Array;
}

/** Reads the pairs of a file. Throws a ModelError for what cannot be computed. */
export async function peftPairs(
  file: AdapterFile,
  spec: ModelSpec,
): Promise<PeftAdapter> {
  const path = join(dirname(file.path), PEFT_CONFIG);
  const config = await readConfig(path);
  const pairs = pairsOf(
    file,
    await readHeader(file),
    peftConfig(path, config),
    spec,
  );
  return { pairs, config };
}

async function readConfig(path: string): Promise<Uint8Array> {
  try {
    const { size } = await Deno.stat(path);
    if (size <= MOST_CONFIG) return await Deno.readFile(path);
    throw new ModelError(
      path,
      `it has ${size} bytes, wanted a configuration of at most ${MOST_CONFIG}`,
    );
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new ModelError(
      path,
      `there is no such file: an adapter in safetensors has it beside its weights`,
      { cause },
    );
  }
}

async function readHeader(
  { path, bytes }: AdapterFile,
): Promise<StoredTensor[]> {
  using handle = await Deno.open(path, { read: true });
  const read = async (length: number): Promise<Uint8Array> => {
    const out = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const got = await handle.read(out.subarray(done));
      if (got === null) {
        throw new ModelError(path, `the file ends in its header`);
      }
      done += got;
    }
    return out;
  };
  const first = await read(Math.min(8, bytes));
  const length = headerBytes(path, bytes, first);
  return parseHeader(path, bytes, await read(length));
}

function pairsOf(
  file: AdapterFile,
  tensors: readonly StoredTensor[],
  config: PeftConfig,
  { vocab, hidden }: ModelSpec,
): readonly Pair[] {
  const fail = (problem: string): never => {
    throw new ModelError(file.path, problem);
  };
  const halves = new Map<string, { A?: StoredMatrix; B?: StoredMatrix }>();
  for (const { name, dtype, shape, offset, bytes } of tensors) {
    if (name === HEAD_COPY && shape[0] === vocab && shape[1] === hidden) {
      continue;
    }
    const [, module, which] =
      /^base_model\.model\.(.+)\.lora_([AB])\.weight$/.exec(name) ?? [];
    if (module === undefined) {
      return fail(
        `tensor ${quote(name)} is no "base_model.model.….lora_A.weight" or ` +
          `"….lora_B.weight": an adapter that changes more than matrices is ` +
          `not supported`,
      );
    }
    const type = (["F32", "F16", "BF16"] as const).find((t) => t === dtype);
    const [rows, columns] = shape;
    if (
      type === undefined || shape.length !== 2 || !(rows! > 0 && columns! > 0)
    ) {
      return fail(
        `tensor ${quote(name)} is ${dtype} of the shape ${
          shape.join(" × ")
        }, wanted a matrix of F32, F16 or BF16`,
      );
    }
    const half = halves.get(module) ?? {};
    half[which as "A" | "B"] = {
      ...{ file, name, type, offset, bytes },
      rows: rows!,
      columns: columns!,
    };
    halves.set(module, half);
  }
  return [...halves].map(([module, { A, B }]) => {
    if (A === undefined || B === undefined) {
      return fail(
        `${quote(module)} has no "lora_${
          A === undefined ? "A" : "B"
        }", wanted both`,
      );
    }
    const target = targetOf(module) ??
      fail(`${quote(module)} cannot take an adapter here; ${KNOWN} can`);
    const rank = config.rankOf(module);
    if (A.rows !== rank) {
      fail(
        `${quote(module)} has rank ${A.rows}, its ${PEFT_CONFIG} says ${rank}`,
      );
    }
    return { target, a: A, b: B, factor: config.factorOf(module) };
  });
}

function targetOf(name: string): Target | undefined {
  if (name === "lm_head") return { name, layer: undefined, parts: [] };
  const [, index, part = ""] = /^model\.layers\.(\d+)\.([\w.]+)$/.exec(name) ??
    [];
  if (index === undefined || !Object.hasOwn(PARTS, part)) return undefined;
  return { name, layer: Number(index), parts: PARTS[part]! };
}
