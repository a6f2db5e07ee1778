/**
 * Gemma 3, text part.
 *
 * @module
 */
import type { Architecture } from "./architecture.ts";

/** Norms around both halves of a block, five windowed layers to each full one. */
export const gemma3: Architecture = {
  name: "gemma3",
  ropeStyle: "halves",
  activation: "gelu",
  scaledEmbedding: true,
  qkNorm: true,
  postNorm: true,
  ropeFactors: false,
  partialRope: true,
  windows: { period: 6, ropeBase: 10_000 },
  // The 27B model; its file does not say so otherwise.
  scaleByHiddenAt: 62,
  refuses: [
    "expert_count",
    "final_logit_softcapping",
    "attn_logit_softcapping",
    "nextn_predict_layers",
  ],
};
