/**
 * Gemma 1 and 2.
 *
 * @module
 */
import type { Architecture } from "./architecture.ts";

const refuses = ["expert_count", "nextn_predict_layers"];

/** Llama with GELU gates and embeddings that are scaled; norms are stored as they apply. */
export const gemma: Architecture = {
  name: "gemma",
  ropeStyle: "halves",
  activation: "gelu",
  scaledEmbedding: true,
  refuses,
};

/** Soft caps, norms around both halves of a block, a window in every other layer. */
export const gemma2: Architecture = {
  name: "gemma2",
  ropeStyle: "halves",
  activation: "gelu",
  scaledEmbedding: true,
  postNorm: true,
  caps: { attention: 50, logits: 30 },
  windows: { period: 2, assumed: 4096 },
  // The 27B model; its file does not say so otherwise.
  scaleByHiddenAt: 46,
  refuses,
};
