import assert from "node:assert/strict";
import type { TensorInfo } from "../core/model.ts";
import type { RandomModel } from "../core/testing/random_model.ts";
import { withRandomFile } from "./testing/random_file.ts";
import { logitsOf, MODEL, streaming, streams } from "./testing/streaming.ts";

Deno.test("what is added to a vector is added when it is read, with layers that stay or stream", async () => {
  const isNorm = (t: TensorInfo): boolean => t.outputs === 1;
  const tensors = new Map(
    [...MODEL.spec.tensors].map(([name, t]) =>
      [name, isNorm(t) ? { ...t, plus: 1 } : t] as const
    ),
  );
  // Multiples of 1/64, so that the sums are exact.
  const coarse = async (name: string): Promise<Float32Array> => {
    const values = await MODEL.read(name);
    return isNorm(MODEL.spec.tensors.get(name)!)
      ? values.map((v) => Math.round(v * 64) / 64)
      : values;
  };
  const less: RandomModel = {
    spec: { ...MODEL.spec, tensors },
    read: async (name) => {
      const plus = tensors.get(name)!.plus ?? 0;
      return (await coarse(name)).map((v) => v - plus);
    },
  };
  const logits = (model: RandomModel, streamed: boolean, exact: boolean) =>
    withRandomFile(model, async (file) => {
      const plan = streamed ? streams([1, 3, 4], 2, "disk", exact) : undefined;
      const { wasm, driver } = await streaming(file, plan, { exact });
      try {
        return await logitsOf(driver, 2);
      } finally {
        await wasm[Symbol.asyncDispose]();
      }
    });
  for (const exact of [false, true]) {
    const want = await logits({ ...MODEL, read: coarse }, false, exact);
    assert.deepEqual(await logits(less, false, exact), want);
    assert.deepEqual(await logits(less, true, exact), want);
  }
});
