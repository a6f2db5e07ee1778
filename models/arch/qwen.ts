/**
 * Qwen 2, 2.5 and 3, their dense models.
 *
 * @module
 */
import type { Architecture } from "./architecture.ts";

const refuses = ["expert_count", "nextn_predict_layers"];

/** Llama that adds biases to queries, keys and values, and turns halves. */
export const qwen2: Architecture = {
  name: "qwen2",
  ropeStyle: "halves",
  activation: "silu",
  biases: true,
  refuses,
};

/** Norms of queries and keys in the place of biases. */
export const qwen3: Architecture = {
  name: "qwen3",
  ropeStyle: "halves",
  activation: "silu",
  qkNorm: true,
  refuses,
};
