/**
 * A one-layer Llama with random weights, whole or bent, for tests.
 *
 * @module
 */
import { VALUE } from "../gguf/value_types.ts";
import type { Entry, WrittenFile, WrittenTensor } from "./gguf_writer.ts";

const HIDDEN = 32, HEADS = 2, KV_HEADS = 1, HEAD = 16, FFN = 32, VOCAB = 8;

/** Metadata of the model by key; `undefined` as a change leaves a key out. */
export type Changes = Readonly<Record<string, Entry | undefined>>;

/**
 * The model as a file to be written.
 *
 * @param changes Entries to replace, add or leave out.
 * @param shapes Tensor shapes to replace, add (all F32) or, where undefined, leave out.
 */
export function tinyLlama(
  changes: Changes = {},
  shapes: Readonly<Record<string, readonly number[] | undefined>> = {},
): WrittenFile {
  const entries: Record<string, Entry | undefined> = {
    ...Object.fromEntries(ENTRIES.map((entry) => [entry[0], entry])),
    ...changes,
  };
  const tensors = Object.entries({ ...SHAPES, ...shapes }).flatMap(
    ([name, dims]): WrittenTensor[] =>
      dims === undefined ? [] : [{ name, dims, type: 0, bytes: f32(dims) }],
  );
  return {
    entries: Object.values(entries).filter((entry) => entry !== undefined),
    tensors,
  };
}

/** What makes the model one of more layers, for longer texts. */
export function deeper(
  layers: number,
  context: number,
): { readonly changes: Changes; readonly shapes: typeof SHAPES } {
  const shapes: Record<string, readonly number[]> = {};
  for (const [name, dims] of Object.entries(SHAPES)) {
    for (let i = 0; i < layers && name.startsWith("blk.0."); i++) {
      shapes[name.replace("blk.0.", `blk.${i}.`)] = dims;
    }
  }
  const changes: Changes = {
    "llama.block_count": ["llama.block_count", VALUE.U32, layers],
    "llama.context_length": ["llama.context_length", VALUE.U32, context],
  };
  return { changes, shapes };
}

function f32(dims: readonly number[]): Uint8Array {
  const values = new Float32Array(dims.reduce((a, b) => a * b, 1));
  values.forEach((_, i) => values[i] = Math.sin(i));
  return new Uint8Array(values.buffer);
}

const ENTRIES: readonly Entry[] = [
  ["general.architecture", VALUE.STRING, "llama"],
  ["llama.block_count", VALUE.U32, 1],
  ["llama.context_length", VALUE.U32, 64],
  ["llama.embedding_length", VALUE.U32, HIDDEN],
  ["llama.feed_forward_length", VALUE.U32, FFN],
  ["llama.attention.head_count", VALUE.U32, HEADS],
  ["llama.attention.head_count_kv", VALUE.U32, KV_HEADS],
  ["llama.attention.layer_norm_rms_epsilon", VALUE.F32, 1e-5],
  ["tokenizer.ggml.model", VALUE.STRING, "gpt2"],
  ["tokenizer.ggml.pre", VALUE.STRING, "gpt-2"],
  [
    "tokenizer.ggml.tokens",
    VALUE.ARRAY,
    VALUE.STRING,
    ["<s>", "</s>", "a", "b", "Ġ", "ab", "Ġab", "c"],
  ],
  ["tokenizer.ggml.token_type", VALUE.ARRAY, VALUE.I32, [
    3,
    3,
    1,
    1,
    1,
    1,
    1,
    1,
  ]],
  ["tokenizer.ggml.merges", VALUE.ARRAY, VALUE.STRING, ["a b", "Ġ ab"]],
  ["tokenizer.ggml.bos_token_id", VALUE.U32, 0],
  ["tokenizer.ggml.eos_token_id", VALUE.U32, 1],
];

const SHAPES: Readonly<Record<string, readonly number[]>> = {
  "token_embd.weight": [HIDDEN, VOCAB],
  "output_norm.weight": [HIDDEN],
  "blk.0.attn_norm.weight": [HIDDEN],
  "blk.0.attn_q.weight": [HIDDEN, HEADS * HEAD],
  "blk.0.attn_k.weight": [HIDDEN, KV_HEADS * HEAD],
  "blk.0.attn_v.weight": [HIDDEN, KV_HEADS * HEAD],
  "blk.0.attn_output.weight": [HEADS * HEAD, HIDDEN],
  "blk.0.ffn_norm.weight": [HIDDEN],
  "blk.0.ffn_gate.weight": [HIDDEN, FFN],
  "blk.0.ffn_up.weight": [HIDDEN, FFN],
  "blk.0.ffn_down.weight": [FFN, HIDDEN],
};
