/**
 * Tiny models with experts of several architectures, their values by a formula, so that
 * anyone can make the same.
 *
 * @module
 */
import { VALUE } from "../gguf/value_types.ts";
import type { Entry, WrittenFile, WrittenTensor } from "./gguf_writer.ts";

const HIDDEN = 32, EXPERTS = 6, FFN = 16, SHARED = 24, VOCAB = 40, LAYERS = 2;

/** Which there are. */
export const EXPERT_MODELS = ["qwen3moe", "qwen2moe", "granitemoe"] as const;

/** One of them. */
export type ExpertModel = typeof EXPERT_MODELS[number];

const MORE: Readonly<Record<ExpertModel, readonly [number, Entry[]]>> = {
  qwen3moe: [16, [
    ["qwen3moe.expert_used_count", VALUE.U32, 3],
    ["qwen3moe.expert_feed_forward_length", VALUE.U32, FFN],
    ["qwen3moe.attention.key_length", VALUE.U32, 16],
    ["qwen3moe.attention.value_length", VALUE.U32, 16],
  ]],
  qwen2moe: [8, [
    ["qwen2moe.expert_used_count", VALUE.U32, 2],
    ["qwen2moe.expert_feed_forward_length", VALUE.U32, FFN],
    ["qwen2moe.expert_shared_feed_forward_length", VALUE.U32, SHARED],
  ]],
  granitemoe: [8, [
    ["granitemoe.expert_used_count", VALUE.U32, 2],
    ["granitemoe.feed_forward_length", VALUE.U32, FFN],
    ["granitemoe.embedding_scale", VALUE.F32, 3],
    ["granitemoe.residual_scale", VALUE.F32, 0.7],
    ["granitemoe.logit_scale", VALUE.F32, 2],
    ["granitemoe.attention.scale", VALUE.F32, 0.25],
  ]],
};

/** Two control tokens and a letter each. */
const TOKENIZER: readonly Entry[] = [
  ["tokenizer.ggml.model", VALUE.STRING, "gpt2"],
  ["tokenizer.ggml.pre", VALUE.STRING, "gpt-2"],
  ["tokenizer.ggml.tokens", VALUE.ARRAY, VALUE.STRING, [
    "<s>",
    "</s>",
    ..."abcdefghijklmnopqrstuvwxyzABCDEFGHIJKL",
  ]],
  [
    "tokenizer.ggml.token_type",
    VALUE.ARRAY,
    VALUE.I32,
    Array.from({ length: VOCAB }, (_, i) => i < 2 ? 3 : 1),
  ],
  ["tokenizer.ggml.merges", VALUE.ARRAY, VALUE.STRING, ["a b"]],
  ["tokenizer.ggml.bos_token_id", VALUE.U32, 0],
  ["tokenizer.ggml.eos_token_id", VALUE.U32, 1],
];

/** The model as a file to be written. */
export function tinyExperts(name: ExpertModel): WrittenFile {
  const [head, more] = MORE[name];
  const entries: Entry[] = [
    ["general.architecture", VALUE.STRING, name],
    [`${name}.block_count`, VALUE.U32, LAYERS],
    [`${name}.context_length`, VALUE.U32, 128],
    [`${name}.embedding_length`, VALUE.U32, HIDDEN],
    [`${name}.attention.head_count`, VALUE.U32, 4],
    [`${name}.attention.head_count_kv`, VALUE.U32, 2],
    [`${name}.attention.layer_norm_rms_epsilon`, VALUE.F32, 1e-6],
    [`${name}.rope.freq_base`, VALUE.F32, 10_000],
    [`${name}.expert_count`, VALUE.U32, EXPERTS],
    ...more,
    ...TOKENIZER,
  ];
  const layer: Record<string, readonly number[]> = {
    "attn_norm.weight": [HIDDEN],
    "ffn_norm.weight": [HIDDEN],
    "attn_q.weight": [HIDDEN, 4 * head],
    "attn_k.weight": [HIDDEN, 2 * head],
    "attn_v.weight": [HIDDEN, 2 * head],
    "attn_output.weight": [4 * head, HIDDEN],
    "ffn_gate_inp.weight": [HIDDEN, EXPERTS],
    "ffn_gate_exps.weight": [HIDDEN, FFN, EXPERTS],
    "ffn_up_exps.weight": [HIDDEN, FFN, EXPERTS],
    "ffn_down_exps.weight": [FFN, HIDDEN, EXPERTS],
    ...(name === "qwen3moe" && {
      "attn_q_norm.weight": [head],
      "attn_k_norm.weight": [head],
    }),
    ...(name === "qwen2moe" && {
      "attn_q.bias": [4 * head],
      "attn_k.bias": [2 * head],
      "attn_v.bias": [2 * head],
      "ffn_gate_inp_shexp.weight": [HIDDEN],
      "ffn_gate_shexp.weight": [HIDDEN, SHARED],
      "ffn_up_shexp.weight": [HIDDEN, SHARED],
      "ffn_down_shexp.weight": [SHARED, HIDDEN],
    }),
  };
  const shapes: Record<string, readonly number[]> = {
    "token_embd.weight": [HIDDEN, VOCAB],
    "output_norm.weight": [HIDDEN],
    "output.weight": [HIDDEN, VOCAB],
  };
  for (let i = 0; i < LAYERS; i++) {
    for (const [part, dims] of Object.entries(layer)) {
      shapes[`blk.${i}.${part}`] = dims;
    }
  }
  const tensors = Object.entries(shapes).map(([name, dims]): WrittenTensor => ({
    ...{ name, dims, type: 0 },
    bytes: new Uint8Array(valuesOf(name, dims).buffer),
  }));
  return { entries, tensors };
}

/** Norms about 1; others about 0, matrices so large that they keep what they multiply. */
function valuesOf(name: string, dims: readonly number[]): Float32Array {
  let hash = 0x811c9dc5;
  for (const c of new TextEncoder().encode(name)) {
    hash = Math.imul(hash ^ c, 0x01000193) >>> 0;
  }
  const value = (u: number): number =>
    name.includes("norm")
      ? 1 + 0.3 * u
      : name.endsWith("bias") || name.includes("inp_shexp")
      ? 0.5 * u
      : name.includes("token_embd")
      ? 2 * u
      : 3.5 / Math.sqrt(dims[0]!) * u;
  return Float32Array.from(
    { length: dims.reduce((a, b) => a * b, 1) },
    (_, i) => {
      // A counter through a mixing function, in whole numbers of 32 bits.
      let x = (hash + Math.imul(i, 0x9e3779b1)) >>> 0;
      x = Math.imul(x ^ (x >>> 15), 0x85ebca77);
      x = Math.imul(x ^ (x >>> 13), 0xc2b2ae3d);
      return value(((x ^ (x >>> 16)) >>> 0) / 2 ** 32 * 2 - 1);
    },
  );
}
