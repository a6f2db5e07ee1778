/**
 * Phi 3, 3.5 and 4, their dense text models.
 *
 * @module
 */
import type { Architecture } from "./architecture.ts";

/** Fused projections; a window in every layer; LongRoPE where there are factors. */
export const phi3: Architecture = {
  name: "phi3",
  ropeStyle: "halves",
  activation: "silu",
  fused: ["qkv", "up"],
  partialRope: true,
  windows: {},
  refuses: ["expert_count", "nextn_predict_layers"],
};
