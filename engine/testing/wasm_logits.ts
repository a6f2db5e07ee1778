/**
 * The CPU backend as a function from ids to logits.
 *
 * @module
 */
import type { ModelSpec } from "../../core/model.ts";
import { driveSequence } from "../../core/testing/drive.ts";
import { createWasm, type WasmOptions } from "../../wasm/backend.ts";
import type { TinyLevel, TinyLogits } from "./tiny_fixtures.ts";
import type { TinyModel } from "./tiny_models.ts";

/** How to run, and how to cut sequences. */
export interface WasmCut
  extends Pick<WasmOptions, "build" | "exact" | "threads" | "mode"> {
  /** Positions in a block, a multiple of 8. */
  readonly blockTokens: number;
  readonly chunk: number;
  /** This many of the last positions run one at a time. */
  readonly decode?: number;
}

/** Longest sequence of the tiny models with its continuation, and some more. */
const LENGTH = 176;

/** A backend that runs one sequence at a time; close it after use. */
export async function wasmLogits(
  { spec, file }: Pick<TinyModel, "spec" | "file">,
  cut: WasmCut,
): Promise<AsyncDisposable & { readonly logits: TinyLogits }> {
  const { blockTokens, chunk, decode = 0, ...settings } = cut;
  const backend = await createWasm({
    spec,
    paths: file.files.map((f) => f.path),
    threads: 2,
    context: LENGTH,
    bytes: 256 << 20,
    rows: Math.max(chunk, 4),
    seqs: 1,
    wanted: Math.max(chunk, 4),
    ...settings,
  });
  const blocks = Math.ceil(LENGTH / blockTokens);
  const options = { tokens: blockTokens, blocks, chunk, decode };
  return {
    logits: driveSequence(backend, spec, options),
    [Symbol.asyncDispose]: () => backend[Symbol.asyncDispose](),
  };
}

/** What a run in default precision must reach: it is the weights that decide. */
export function fastLevel({ spec }: TinyModel): TinyLevel {
  const floats = ["F32", "F16", "BF16"];
  const types = [...spec.tensors.values()].map((t) => t.type);
  if (types.every((type) => floats.includes(type))) return "half_kv";
  return hasExperts(spec) ? "int8_experts" : "int8";
}

/** Whether rows take experts, so that a little may change a lot. */
export function hasExperts({ layers }: ModelSpec): boolean {
  return layers.some((layer) => layer.experts !== undefined);
}
