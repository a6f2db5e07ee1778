/**
 * Small models of several layers, with some of them streamed.
 *
 * @module
 */
import { Driver } from "../../core/testing/drive.ts";
import {
  type RandomModel,
  randomModel,
} from "../../core/testing/random_model.ts";
import type { WeightPlan, WeightSource } from "../../core/weight_plan.ts";
import { createWasm, type WasmBackend, type WasmOptions } from "../backend.ts";
import { weightBytes } from "../weight_list.ts";
import type { RandomFile } from "./random_file.ts";

/** Seven layers of three sizes. */
export const MODEL: RandomModel = randomModel({
  vocab: 61,
  hidden: 64,
  norms: true,
  layers: Array.from({ length: 7 }, (_, i) => ({
    qHeads: 4,
    kvHeads: 2,
    headDim: 16,
    ffn: 64 + 32 * (i % 3),
  })),
});

/** A plan by hand. */
export function streams(
  streamed: readonly number[],
  depth: number,
  from: WeightSource = "disk",
  exact = false,
): WeightPlan {
  const { layers } = weightBytes(MODEL.spec, exact);
  const slotBytes = Math.max(64, ...streamed.map((i) => layers[i]!));
  return { from, streamed, depth, slotBytes, rows: 40, notes: [] };
}

/** A backend over the model's file, and what drives it. */
export async function streaming(
  { spec, paths }: RandomFile,
  weights: WeightPlan | undefined,
  options: Partial<WasmOptions> = {},
): Promise<{ readonly wasm: WasmBackend; readonly driver: Driver }> {
  const wasm = await createWasm({
    spec,
    paths,
    threads: 2,
    context: 64,
    bytes: 64 << 20,
    rows: 40,
    seqs: 2,
    wanted: 40,
    weights,
    ...options,
  });
  const driver = new Driver(wasm, spec, { tokens: 8, blocks: 8 });
  return { wasm, driver };
}

/** Logits of a prompt and `steps` tokens after it, step by step. */
export async function logitsOf(
  driver: Driver,
  steps = 9,
): Promise<Float32Array[]> {
  const prompt = [3, 14, 15, 9, 26, 5, 35], out: Float32Array[] = [];
  const work = { seq: 0, from: 0, ids: prompt };
  out.push((await driver.step([work])).logits);
  for (let i = 0; i < steps; i++) {
    const from = prompt.length + i, ids = [(i * i * 7 + 1) % 61];
    out.push((await driver.step([{ seq: 0, from, ids }])).logits);
  }
  return out;
}
