/**
 * Architectures that are Llama but for a word or two.
 *
 * @module
 */
import type { Architecture } from "./architecture.ts";

const refuses = ["expert_count", "nextn_predict_layers"];

/** A plain block; what `more` says is all that is new. */
function plain(
  name: string,
  ropeStyle: Architecture["ropeStyle"],
  more: Partial<Architecture> = {},
): Architecture {
  return { name, ropeStyle, activation: "silu", refuses, ...more };
}

/** InternLM 2 and 2.5. */
export const internlm2: Architecture = plain("internlm2", "neighbours");
/** XVERSE. */
export const xverse: Architecture = plain("xverse", "neighbours");
/** ERNIE 4.5, dense. */
export const ernie4: Architecture = plain("ernie4_5", "neighbours");
/** EXAONE 3 and 3.5. */
export const exaone: Architecture = plain("exaone", "halves", {
  ropeFactors: true,
});
/** Seed-OSS. */
export const seedOss: Architecture = plain("seed_oss", "halves", {
  biases: true,
  ffnNorm: "post_attention_norm",
});
/** SmolLM 3: each fourth layer knows no positions. */
export const smollm3: Architecture = plain("smollm3", "neighbours", {
  stillEvery: 4,
});
/** Granite 3, dense: sums, embeddings and logits are scaled. */
export const granite: Architecture = plain("granite", "neighbours", {
  scales: true,
  biases: "maybe",
  ropeFactors: true,
});
/** GLM 4 (0414): norms around both halves, half of a head turns. */
export const glm4: Architecture = plain("glm4", "neighbours", {
  biases: "maybe",
  fused: ["up"],
  postNorm: true,
  partialRope: true,
});
/** Granite 3 with experts. */
export const granitemoe: Architecture = {
  ...granite,
  name: "granitemoe",
  experts: { normalised: true },
  refuses: ["expert_shared_count", "nextn_predict_layers"],
};
