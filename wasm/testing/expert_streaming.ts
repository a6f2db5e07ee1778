/**
 * A small model whose experts come one by one.
 *
 * @module
 */
import {
  type RandomModel,
  randomModel,
} from "../../core/testing/random_model.ts";
import type { WeightPlan, WeightSource } from "../../core/weight_plan.ts";
import { weightBytes } from "../weight_list.ts";

/** Layers with six experts, with none, with nine and one shared, and with six. */
export const EXPERT_MODEL: RandomModel = randomModel({
  seed: 3,
  vocab: 61,
  hidden: 64,
  layers: [
    { ffn: 0, experts: { count: 6, used: 2, ffn: 32 } },
    { ffn: 96 },
    { ffn: 0, experts: { count: 9, used: 3, ffn: 64, shared: 32 } },
    { ffn: 32, experts: { count: 6, used: 1, ffn: 96, normalised: false } },
  ],
});

/** How many there are, and the most in a layer. */
export const ITEMS = 21, MOST = 9;

/** A plan by hand. */
export function comes(
  slots: number,
  from: WeightSource = "disk",
  exact = false,
): WeightPlan {
  const { slotBytes } = weightBytes(EXPERT_MODEL.spec, exact).experts!;
  return {
    from,
    ...{ streamed: [], depth: 0, slotBytes: 0, rows: 40, notes: [] },
    experts: { slots, slotBytes },
  };
}
