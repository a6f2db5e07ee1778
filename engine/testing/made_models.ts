/**
 * Small models of many architectures, made from nothing: the same bytes every time, so
 * that what another program computes with them can be kept (`engine/testdata/`).
 *
 * @module
 */
import { random } from "../../core/testing/random_model.ts";
import { VALUE } from "../../models/gguf/value_types.ts";
import type {
  Entry,
  WrittenFile,
  WrittenTensor,
} from "../../models/testing/gguf_writer.ts";

const HIDDEN = 32, LAYERS = 4, HEADS = 4, KV_HEADS = 2, HEAD = 8, FFN = 48;

/** Tokens of every made model. */
export const VOCAB = 24;

/** Shapes of tensors by name, `blk.N.` left out; undefined: there is none. */
type Shapes = Readonly<Record<string, readonly number[] | undefined>>;

/** A model to make. */
export interface Made {
  readonly architecture: string;
  /** Metadata beside what all have, without the prefix. */
  readonly meta?: Readonly<Record<string, number | string>>;
  /** Tensors of each layer, and those of the whole model. */
  readonly layer?: Shapes;
  readonly whole?: Shapes;
  /** Most positions of a sequence. */
  readonly context?: number;
}

const BIASES: Shapes = {
  "attn_q.bias": [HEADS * HEAD],
  "attn_k.bias": [KV_HEADS * HEAD],
  "attn_v.bias": [KV_HEADS * HEAD],
};
const HEAD_NORMS: Shapes = {
  "attn_q_norm.weight": [HEAD],
  "attn_k_norm.weight": [HEAD],
};
const POST_NORMS: Shapes = {
  "post_attention_norm.weight": [HIDDEN],
  "post_ffw_norm.weight": [HIDDEN],
};
const FUSED_UP: Shapes = {
  "ffn_gate.weight": undefined,
  "ffn_up.weight": [HIDDEN, 2 * FFN],
};
const FUSED: Shapes = {
  ...FUSED_UP,
  "attn_q.weight": undefined,
  "attn_k.weight": undefined,
  "attn_v.weight": undefined,
  "attn_qkv.weight": [HIDDEN, (HEADS + 2 * KV_HEADS) * HEAD],
};
const TIED: Shapes = { "output.weight": undefined };
const FREQS: Shapes = { "rope_freqs.weight": [HEAD / 2] };
const YARN = {
  "rope.scaling.type": "yarn",
  "rope.scaling.factor": 4,
  "rope.scaling.original_context_length": 64,
};

function longRope(dims: number): Pick<Made, "meta" | "whole"> {
  return {
    meta: {
      "rope.dimension_count": dims,
      "rope.scaling.type": "longrope",
      "rope.scaling.original_context_length": 300,
      "rope.scaling.attn_factor": 1.19,
    },
    whole: {
      "rope_factors_long.weight": [dims / 2],
      "rope_factors_short.weight": [dims / 2],
    },
  };
}

/** By what makes them worth a look. */
export const MADE: Readonly<Record<string, Made>> = {
  "llama with biases": { architecture: "llama", layer: BIASES },
  "llama with YaRN": { architecture: "llama", meta: YARN },
  "llama with LongRoPE": { architecture: "llama", ...longRope(HEAD) },
  "qwen2": { architecture: "qwen2", layer: BIASES },
  "qwen2 with YaRN and a factor": {
    architecture: "qwen2",
    layer: BIASES,
    meta: {
      ...YARN,
      "rope.scaling.attn_factor": 1.3,
      "rope.scaling.original_context_length": 4096,
    },
  },
  "qwen3 with YaRN": {
    architecture: "qwen3",
    layer: HEAD_NORMS,
    whole: TIED,
    meta: YARN,
  },
  "gemma": { architecture: "gemma", whole: TIED },
  "gemma2": {
    architecture: "gemma2",
    layer: POST_NORMS,
    whole: TIED,
    meta: {
      "attention.sliding_window": 12,
      "attn_logit_softcapping": 5,
      "final_logit_softcapping": 9,
    },
  },
  "phi3": { architecture: "phi3", layer: FUSED },
  "phi3 beyond its first context": {
    architecture: "phi3",
    layer: FUSED,
    ...longRope(HEAD),
  },
  "phi3 within its first context": {
    architecture: "phi3",
    layer: FUSED,
    ...longRope(HEAD),
    context: 256,
  },
  "phi3 that turns in part": {
    architecture: "phi3",
    layer: FUSED,
    ...longRope(HEAD / 2),
  },
  "internlm2": { architecture: "internlm2" },
  "xverse": { architecture: "xverse" },
  "ernie4_5": { architecture: "ernie4_5", whole: TIED },
  "exaone": { architecture: "exaone", whole: FREQS },
  "seed_oss": {
    architecture: "seed_oss",
    layer: {
      ...BIASES,
      "ffn_norm.weight": undefined,
      "post_attention_norm.weight": [HIDDEN],
    },
  },
  "smollm3": { architecture: "smollm3", whole: TIED },
  "smollm3 with YaRN": { architecture: "smollm3", meta: YARN },
  "granite": {
    architecture: "granite",
    meta: {
      "attention.scale": 0.21,
      "embedding_scale": 3,
      "residual_scale": 0.4,
      "logit_scale": 1.7,
    },
  },
  "granite with biases and factors": {
    architecture: "granite",
    layer: BIASES,
    whole: FREQS,
    meta: { "logit_scale": 2 },
  },
  "glm4": {
    architecture: "glm4",
    layer: { ...FUSED_UP, ...POST_NORMS },
    meta: { "rope.dimension_count": HEAD / 2 },
  },
  "glm4 with biases": {
    architecture: "glm4",
    layer: { ...FUSED_UP, ...POST_NORMS, ...BIASES },
    meta: { "rope.dimension_count": HEAD / 2 },
  },
};

const LAYER: Shapes = {
  "attn_norm.weight": [HIDDEN],
  "attn_q.weight": [HIDDEN, HEADS * HEAD],
  "attn_k.weight": [HIDDEN, KV_HEADS * HEAD],
  "attn_v.weight": [HIDDEN, KV_HEADS * HEAD],
  "attn_output.weight": [HEADS * HEAD, HIDDEN],
  "ffn_norm.weight": [HIDDEN],
  "ffn_gate.weight": [HIDDEN, FFN],
  "ffn_up.weight": [HIDDEN, FFN],
  "ffn_down.weight": [FFN, HIDDEN],
};

/** The tokens that are run: of all kinds, longer than the window. */
export const TOKENS: readonly number[] = Array.from(
  { length: 40 },
  (_, i) => 2 + (i * i * 5 + i * 3) % (VOCAB - 2),
);

/** A model as a file to be written. */
export function madeModel({ architecture, ...made }: Made): WrittenFile {
  const shapes: Record<string, readonly number[] | undefined> = {
    "token_embd.weight": [HIDDEN, VOCAB],
    "output_norm.weight": [HIDDEN],
    "output.weight": [HIDDEN, VOCAB],
    ...made.whole,
  };
  for (let i = 0; i < LAYERS; i++) {
    const layer = Object.entries({ ...LAYER, ...made.layer });
    for (const [name, dims] of layer) shapes[`blk.${i}.${name}`] = dims;
  }
  const meta: Readonly<Record<string, number | string>> = {
    "block_count": LAYERS,
    "context_length": 512,
    "embedding_length": HIDDEN,
    "feed_forward_length": FFN,
    "attention.head_count": HEADS,
    "attention.head_count_kv": KV_HEADS,
    "attention.key_length": HEAD,
    "attention.value_length": HEAD,
    "attention.layer_norm_rms_epsilon": 1e-5,
    "rope.freq_base": 10000,
    "rope.dimension_count": HEAD,
    ...made.meta,
  };
  const tensors = Object.entries(shapes).flatMap(
    ([name, dims], i): WrittenTensor[] =>
      dims === undefined
        ? []
        : [{ name, dims, type: 0, bytes: valuesOf(name, dims, i) }],
  );
  return {
    entries: [
      ["general.architecture", VALUE.STRING, architecture],
      ...Object.entries(meta).map(([key, value]): Entry => [
        `${architecture}.${key}`,
        typeof value === "string"
          ? VALUE.STRING
          : FLOATS.test(key)
          ? VALUE.F32
          : VALUE.U32,
        value,
      ]),
      ...TOKENIZER,
    ],
    tensors,
  };
}

/** Keys whose values are floats, whole or not. */
const FLOATS = /epsilon|freq_base|scale$|factor$|softcapping/;

function valuesOf(
  name: string,
  dims: readonly number[],
  seed: number,
): Uint8Array {
  const next = random(seed * 1000 + 7), [inputs = 1, outputs] = dims;
  const [middle, reach] = outputs !== undefined
    ? [0, (name.startsWith("token") ? 6 : 3) / Math.sqrt(inputs)]
    : name.endsWith("bias")
    ? [0, 1]
    : name.startsWith("rope")
    ? [name.includes("long") ? 3 : 1.5, 0.5]
    : [1, 0.5];
  const values = Float32Array.from(
    { length: inputs * (outputs ?? 1) },
    () => middle + (2 * next() - 1) * reach,
  );
  return new Uint8Array(values.buffer);
}

const WORDS = Array.from(
  { length: VOCAB - 2 },
  (_, i) => String.fromCharCode(97 + i),
);

const TOKENIZER: readonly Entry[] = [
  ["tokenizer.ggml.model", VALUE.STRING, "gpt2"],
  ["tokenizer.ggml.pre", VALUE.STRING, "gpt-2"],
  [
    "tokenizer.ggml.tokens",
    VALUE.ARRAY,
    VALUE.STRING,
    ["<s>", "</s>", ...WORDS],
  ],
  [
    "tokenizer.ggml.token_type",
    VALUE.ARRAY,
    VALUE.I32,
    [3, 3, ...WORDS.map(() => 1)],
  ],
  ["tokenizer.ggml.merges", VALUE.ARRAY, VALUE.STRING, ["a b"]],
  ["tokenizer.ggml.bos_token_id", VALUE.U32, 0],
  ["tokenizer.ggml.eos_token_id", VALUE.U32, 1],
];
