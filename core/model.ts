/**
 * A model as data: what one transformer block interprets, on every backend.
 * `models/` fills it from a file's metadata; no backend ever asks for an
 * architecture by name.
 *
 * @module
 */
import type { ModelShape } from "./types.ts";

/** Weight formats a file may hold, by their GGUF names. */
export type WeightType =
  | "F32"
  | "F16"
  | "BF16"
  | "Q8_0"
  | "Q4_0"
  | "Q4_1"
  | "Q5_0"
  | "Q5_1"
  | "Q2_K"
  | "Q3_K"
  | "Q4_K"
  | "Q5_K"
  | "Q6_K"
  | "IQ4_NL";

/** A matrix (or, with `outputs` 1, a vector) stored row by row in a file. */
export interface TensorInfo {
  readonly name: string;
  readonly type: WeightType;
  /** Values in a row: what a matrix multiplies with. GGUF's first dimension. */
  readonly inputs: number;
  /** Rows. GGUF's second dimension; 1 for a vector. */
  readonly outputs: number;
  /** Matrices stacked in this tensor (experts), usually 1. */
  readonly stack: number;
  /** Which file of a split model, an index into the list of files. */
  readonly file: number;
  /** Byte offset from the start of that file. */
  readonly offset: number;
  readonly bytes: number;
}

/** How a layer turns queries and keys by their position. */
export interface RopeSpec {
  /** "neighbours" turns values (2i, 2i+1); "halves" turns (i, i + dims/2). */
  readonly style: "neighbours" | "halves";
  readonly base: number;
  /** Positions are divided by this (linear scaling); 1 for none. */
  readonly divide: number;
  /** How many values of a head turn; the rest pass through. */
  readonly dims: number;
  /** Tensor whose values divide the frequencies (Llama 3), by name. */
  readonly factors?: string;
}

/** Names of one layer's tensors. Optional ones are absent from some architectures. */
export interface LayerTensors {
  readonly attnNorm: string;
  readonly q: string;
  readonly k: string;
  readonly v: string;
  readonly qNorm?: string;
  readonly kNorm?: string;
  readonly attnOut: string;
  /** Norm of the attention's output before it is added (Gemma 2 and 3). */
  readonly postAttnNorm?: string;
  readonly ffnNorm: string;
  readonly gate: string;
  readonly up: string;
  readonly down: string;
  readonly postFfnNorm?: string;
}

/** One layer of the transformer. */
export interface LayerSpec {
  readonly qHeads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly ffn: number;
  /** The query at p sees p - window + 1 .. p; undefined sees everything before. */
  readonly window: number | undefined;
  readonly rope: RopeSpec;
  /** Scores are q·k times this. */
  readonly attnScale: number;
  readonly activation: "silu" | "gelu";
  readonly tensors: LayerTensors;
}

/** A decoder-only transformer with RMS norms, rotary positions and gated MLPs. */
export interface ModelSpec {
  /** Fingerprint of the content: part of every content address. */
  readonly id: string;
  readonly architecture: string;
  readonly vocab: number;
  readonly hidden: number;
  /** Longest context the model was trained for, tokens. */
  readonly context: number;
  readonly normEps: number;
  /** Embeddings are multiplied by this; 1 for none. */
  readonly embeddingScale: number;
  readonly layers: readonly LayerSpec[];
  readonly embedding: string;
  readonly outputNorm: string;
  /** The same name as `embedding` where the two are tied. */
  readonly output: string;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** The part of a model the cache plans by. */
export function modelShape(spec: ModelSpec): ModelShape {
  return {
    id: spec.id,
    layers: spec.layers.map((l, layer) => ({
      layer,
      qHeads: l.qHeads,
      kvHeads: l.kvHeads,
      headDim: l.headDim,
    })),
  };
}
