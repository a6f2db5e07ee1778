/**
 * Llama and the many models stored as Llama: SmolLM, TinyLlama, Mistral with the
 * window of its first version in every layer, Mixtral, Llama 3.
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
  biases: "maybe",
  postNorm: false,
  ropeFactors: true,
  partialRope: false,
  windows: {},
  experts: { normalised: true },
  refuses: [
    "expert_shared_count",
    "nextn_predict_layers",
  ],
};
