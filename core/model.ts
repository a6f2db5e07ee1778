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
  | "IQ4_NL"
  | "IQ4_XS"
  | "MXFP4"
  | "NVFP4"
  | "TQ1_0"
  | "TQ2_0"
  | "IQ3_S"
  | "IQ3_XXS"
  | "IQ2_S"
  | "IQ2_XS"
  | "IQ2_XXS"
  | "IQ1_M"
  | "IQ1_S";

/** Formats that weights can be rounded to when they are read. */
export type RoundedType = "Q8_0" | "Q4_0";

/** A matrix (or, with `outputs` 1, a vector) stored row by row in a file. */
export interface TensorInfo {
  /** As the file calls it. */
  readonly name: string;
  /** Format of the values. */
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
  /** Length in the file. */
  readonly bytes: number;
  /** Added to every value of a vector as it is read; default 0. */
  readonly plus?: number;
  /** What its values are rounded to as they are read; default: they stay as they are. */
  readonly as?: RoundedType;
}

/** How a layer turns queries and keys by their position. */
export interface RopeSpec {
  /** "neighbours" turns values (2i, 2i+1); "halves" turns (i, i + dims/2). */
  readonly style: "neighbours" | "halves";
  /** Largest wavelength, in radians per position: frequencies are base^(-2i/dims). */
  readonly base: number;
  /** Positions are divided by this (linear scaling); 1 for none. */
  readonly divide: number;
  /** How many values of a head turn, 0 for none; the rest pass through. */
  readonly dims: number;
  /** What divides the frequencies (Llama 3): a tensor by name, or the dims / 2 values. */
  readonly factors?: string | readonly number[];
  /** Cosines and sines are multiplied by this (YaRN, LongRoPE); default 1. */
  readonly magnitude?: number;
}

/** Names of one layer's tensors. Optional ones are absent from some architectures. */
export interface LayerTensors {
  /** Norm before attention. */
  readonly attnNorm: string;
  /** Queries. */
  readonly q: string;
  /** Keys. */
  readonly k: string;
  /** Values. */
  readonly v: string;
  /** Added to queries, keys and values before anything else is done with them. */
  readonly qBias?: string;
  /** See `qBias`. */
  readonly kBias?: string;
  /** See `qBias`. */
  readonly vBias?: string;
  /** Norm of each query head. */
  readonly qNorm?: string;
  /** Norm of each key head. */
  readonly kNorm?: string;
  /** Attention's output. */
  readonly attnOut: string;
  /** Norm of the attention's output before it is added (Gemma 2 and 3). */
  readonly postAttnNorm?: string;
  /** Norm before the MLP. */
  readonly ffnNorm: string;
  /** Norm of the MLP's output before it is added. */
  readonly postFfnNorm?: string;
}

/** A gated MLP: down(activation(gate(x)) · up(x)), its matrices by name. */
export interface MlpSpec {
  /** Its width. */
  readonly ffn: number;
  /** Gate. */
  readonly gate: string;
  /** What the gate multiplies. */
  readonly up: string;
  /** Output. */
  readonly down: string;
}

/** MLPs of which each row takes a few (mixture of experts). */
export interface ExpertsSpec {
  /** Scores of the experts: a matrix of one output for each. */
  readonly router: string;
  /** How many a row takes: those with the largest scores, ties by lower number. */
  readonly used: number;
  /** Weights are a softmax over all scores; whether those taken are made to sum to 1. */
  readonly normalised: boolean;
  /** The experts, all of one width and each with its own matrices. */
  readonly each: readonly MlpSpec[];
  /** One more, which every row takes, weighed by a sigmoid of a score of its own. */
  readonly shared?: {
    readonly mlp: MlpSpec;
    /** What gives the score: a matrix of one output. */
    readonly gate: string;
  };
}

/** One layer of the transformer. */
export interface LayerSpec {
  /** Query heads. */
  readonly qHeads: number;
  /** K/V heads. */
  readonly kvHeads: number;
  /** Values in a head. */
  readonly headDim: number;
  /** The query at p sees p - window + 1 .. p; undefined sees everything before. */
  readonly window: number | undefined;
  /** How positions turn queries and keys. */
  readonly rope: RopeSpec;
  /** Scores are q·k times this. */
  readonly attnScale: number;
  /** Scores s become cap · tanh(s / cap) before they are masked (Gemma 2); default: as is. */
  readonly attnCap?: number;
  /** What each half adds to the residual stream is multiplied by this (Granite); default 1. */
  readonly residualScale?: number;
  /** Of the gate; "gelu" is its tanh form. */
  readonly activation: "silu" | "gelu";
  /** Names of its tensors, those of MLPs apart. */
  readonly tensors: LayerTensors;
  /** What every row goes through; absent where there are only experts. */
  readonly mlp?: MlpSpec;
  /** What each row takes some of; their sum is added to what `mlp` gives. */
  readonly experts?: ExpertsSpec;
}

/** A decoder-only transformer with RMS norms, rotary positions and gated MLPs. */
export interface ModelSpec {
  /** Fingerprint of the content: part of every content address. */
  readonly id: string;
  /** As the file calls it. */
  readonly architecture: string;
  /** Number of tokens. */
  readonly vocab: number;
  /** Values in a row of the residual stream. */
  readonly hidden: number;
  /** Longest context the model was trained for, tokens. */
  readonly context: number;
  /** Added to the mean square in RMS norms. */
  readonly normEps: number;
  /** Embeddings are multiplied by this; 1 for none. */
  readonly embeddingScale: number;
  /** Logits are multiplied by this, before any cap (Granite); default 1. */
  readonly logitScale?: number;
  /** Logits become cap · tanh(logit / cap) (Gemma 2); default: as they are. */
  readonly logitCap?: number;
  /** The layers, first to last. */
  readonly layers: readonly LayerSpec[];
  /** Name of the token embedding. */
  readonly embedding: string;
  /** Name of the last norm. */
  readonly outputNorm: string;
  /** The same name as `embedding` where the two are tied. */
  readonly output: string;
  /** Every tensor by its name, and views into some of them (models/arch/views.ts). */
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** All experts of a layer, the shared one last. */
export function allExperts(
  { each, shared }: ExpertsSpec,
): readonly MlpSpec[] {
  return shared === undefined ? each : [...each, shared.mlp];
}

/** Every MLP of a layer. */
export function mlpsOf({ mlp, experts }: LayerSpec): readonly MlpSpec[] {
  return [
    ...mlp === undefined ? [] : [mlp],
    ...experts === undefined ? [] : allExperts(experts),
  ];
}

/** Names of what gives experts their scores; a vector among them is a matrix of one output. */
export function routersOf({ experts }: LayerSpec): readonly string[] {
  const { router, shared } = experts ?? {};
  return [router, shared?.gate].filter((name) => name !== undefined);
}

/** Names of the tensors that a layer reads, in the order it reads them. */
export function tensorsOf(layer: LayerSpec): readonly string[] {
  const { tensors: t, rope: { factors } } = layer;
  const names = [
    ...[t.attnNorm, t.q, t.k, t.v, t.qBias, t.kBias, t.vBias, t.qNorm, t.kNorm],
    ...[typeof factors === "string" ? factors : undefined],
    ...[t.attnOut, t.postAttnNorm, t.ffnNorm, ...routersOf(layer)],
    ...mlpsOf(layer).flatMap((m) => [m.gate, m.up, m.down]),
    t.postFfnNorm,
  ];
  return names.filter((name) => name !== undefined);
}

/** The part of a model the cache plans by. */
export function modelShape(spec: ModelSpec): ModelShape {
  return {
    id: spec.id,
    context: spec.context,
    layers: spec.layers.map((l, layer) => ({
      layer,
      qHeads: l.qHeads,
      kvHeads: l.kvHeads,
      headDim: l.headDim,
    })),
  };
}
