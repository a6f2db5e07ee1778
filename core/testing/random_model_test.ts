import assert from "node:assert/strict";
import { checkTensors } from "../reference/weights.ts";
import { random, randomModel } from "./random_model.ts";

Deno.test("randomModel() has every tensor its layers name, in their shapes", async () => {
  for (
    const options of [
      {},
      { norms: true, tied: true, layers: [{}] },
      { biases: true, layers: [{ qHeads: 3, headDim: 8 }] },
    ]
  ) {
    const { spec, read } = randomModel(options);
    checkTensors(spec);
    for (const { name, inputs, outputs } of spec.tensors.values()) {
      const values = await read(name);
      assert.equal(values.length, inputs * outputs);
      assert.ok(values.every((v) => Number.isFinite(v) && Math.abs(v) < 4));
    }
  }
});

Deno.test("randomModel() depends on its seed alone", async () => {
  const name = "0.q";
  const a = await randomModel({ seed: 1 }).read(name);
  assert.deepEqual(await randomModel({ seed: 1 }).read(name), a);
  assert.notDeepEqual(await randomModel({ seed: 2 }).read(name), a);
  assert.notDeepEqual(await randomModel({ seed: 1 }).read("1.q"), a);
});

Deno.test("random() spreads over 0 to 1", () => {
  const next = random(0);
  const bins = new Int32Array(10);
  for (let i = 0; i < 10_000; i++) bins[Math.floor(next() * 10)]!++;
  assert.ok(bins.every((n) => n > 850 && n < 1150), `${bins}`);
});
