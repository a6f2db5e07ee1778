/**
 * Qwen 2, 2.5 and 3, dense and with experts.
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
  windows: {},
  refuses,
};

/** Norms of queries and keys in the place of biases. */
export const qwen3: Architecture = {
  name: "qwen3",
  ropeStyle: "halves",
  activation: "silu",
  qkNorm: true,
  windows: {},
  refuses,
};

const expertsRefuse = ["nextn_predict_layers"];

/** Experts whose weights need not sum to 1, and one that all rows take. */
export const qwen2moe: Architecture = {
  ...qwen2,
  name: "qwen2moe",
  experts: { normalised: false, shared: true },
  refuses: expertsRefuse,
};

/** Many narrow experts. */
export const qwen3moe: Architecture = {
  ...qwen3,
  name: "qwen3moe",
  experts: { normalised: true },
  refuses: expertsRefuse,
};
