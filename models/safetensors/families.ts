/**
 * Kinds of models by what a config.json calls them, as data.
 *
 * @module
 */
import type { JsonObject } from "./json.ts";

/** How a "model_type" is turned into the architecture of a GGUF file. */
export interface Family {
  /** GGUF's name: the record in models/arch/ that says the rest. */
  readonly architecture: string;
  /** What keys mean that are absent, where that matters. */
  readonly defaults: JsonObject;
  /** Values of "hidden_act" that mean what the record's activation is. */
  readonly activations: readonly string[];
  /** Which layers see a window. */
  readonly windows: "all" | "flagged" | "pattern" | "none";
  /** Of a pattern: layer i sees everything where i + 1 is a multiple of it. */
  readonly period?: number;
  /** Norms are stored less 1. */
  readonly normsLessOne?: boolean;
  /** Norms around both halves of a block: two names mean something else then. */
  readonly postNorms?: boolean;
  /** Windowed layers turn by this base. */
  readonly localBase?: number;
  /** Scores are divided by the root of "query_pre_attn_scalar". */
  readonly scaled?: boolean;
  /** Whether projections always have biases, and no key says so. */
  readonly biased?: boolean;
  /** Whether "norm_topk_prob" says how experts are weighed; without it: as the record. */
  readonly normKey?: boolean;
  /** Numbers above 0 that have a key in GGUF, by that key. */
  readonly numbers?: Readonly<Record<string, string>>;
}

const SILU = ["silu", "swish"];
const GELU = ["gelu_pytorch_tanh", "gelu_new"];

const gemma: Family = {
  architecture: "gemma",
  defaults: { head_dim: 256, tie_word_embeddings: true },
  // The first of them said "gelu" and meant its tanh form.
  activations: [...GELU, "gelu"],
  windows: "none",
  normsLessOne: true,
};

const gemma2: Family = {
  ...gemma,
  architecture: "gemma2",
  defaults: {
    ...gemma.defaults,
    sliding_window: 4096,
    query_pre_attn_scalar: 256,
    attn_logit_softcapping: 50,
    final_logit_softcapping: 30,
  },
  activations: GELU,
  windows: "pattern",
  period: 2,
  postNorms: true,
  scaled: true,
};

/** What published configs of its larger models leave out. */
const gemma3: Family = {
  ...gemma2,
  architecture: "gemma3",
  defaults: {
    ...gemma.defaults,
    sliding_window: 4096,
    query_pre_attn_scalar: 256,
    num_attention_heads: 8,
    num_key_value_heads: 4,
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-6,
    rope_theta: 1_000_000,
    vocab_size: 262_208,
  },
  period: 6,
  localBase: 10_000,
};

const llama: Family = {
  architecture: "llama",
  defaults: {},
  activations: SILU,
  windows: "none",
};

const qwen2: Family = {
  ...llama,
  architecture: "qwen2",
  defaults: { max_window_layers: 28 },
  windows: "flagged",
  biased: true,
};

const granite: Family = {
  ...llama,
  architecture: "granite",
  defaults: {
    attention_multiplier: 1,
    embedding_multiplier: 1,
    residual_multiplier: 1,
    logits_scaling: 1,
  },
  numbers: {
    "attention.scale": "attention_multiplier",
    "embedding_scale": "embedding_multiplier",
    "residual_scale": "residual_multiplier",
    "logit_scale": "logits_scaling",
  },
};

/** Every kind that is known, by "model_type". */
export const FAMILIES: ReadonlyMap<string, Family> = new Map(Object.entries({
  llama,
  mistral: {
    ...llama,
    defaults: { sliding_window: 4096, num_key_value_heads: 8 },
    windows: "all",
  },
  mixtral: {
    ...llama,
    defaults: {
      num_key_value_heads: 8,
      num_local_experts: 8,
      num_experts_per_tok: 2,
      rope_theta: 1_000_000,
    },
    windows: "all",
  },
  qwen2,
  qwen2_moe: {
    ...qwen2,
    architecture: "qwen2moe",
    defaults: {
      ...qwen2.defaults,
      num_experts: 60,
      num_experts_per_tok: 4,
      moe_intermediate_size: 1408,
      shared_expert_intermediate_size: 5632,
    },
    normKey: true,
  },
  qwen3: {
    ...llama,
    architecture: "qwen3",
    defaults: { head_dim: 128, max_window_layers: 28 },
    windows: "flagged",
  },
  qwen3_moe: {
    ...llama,
    architecture: "qwen3moe",
    defaults: {
      head_dim: 128,
      num_key_value_heads: 4,
      num_experts: 128,
      num_experts_per_tok: 8,
      moe_intermediate_size: 768,
    },
    normKey: true,
    windows: "flagged",
  },
  gemma,
  gemma2,
  gemma3_text: gemma3,
  phi3: { ...llama, architecture: "phi3", windows: "all" },
  smollm3: {
    ...llama,
    architecture: "smollm3",
    defaults: { tie_word_embeddings: true, rope_theta: 2_000_000 },
  },
  granite,
  granitemoe: {
    ...granite,
    architecture: "granitemoe",
    defaults: {
      ...granite.defaults,
      num_local_experts: 8,
      num_experts_per_tok: 2,
    },
  },
}));
