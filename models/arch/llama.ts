/**
 * Llama and the many models stored as Llama: SmolLM, TinyLlama, Mistral
 * without its window, Llama 3.
 *
 * @module
 */
import type { Architecture } from "./architecture.ts";

/** Pre-norm blocks, SiLU gates, rotation of neighbours. */
export const llama: Architecture = {
  name: "llama",
  ropeStyle: "neighbours",
  activation: "silu",
  scaledEmbedding: false,
  qkNorm: false,
  postNorm: false,
  ropeFactors: true,
  partialRope: false,
  windows: undefined,
  refuses: [
    "expert_count",
    "attention.sliding_window",
    "nextn_predict_layers",
  ],
};
