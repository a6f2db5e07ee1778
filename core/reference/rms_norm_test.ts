import assert from "node:assert/strict";
import { rmsNorm } from "./rms_norm.ts";

Deno.test("rmsNorm() norms each run by itself and in place", () => {
  const x = new Float32Array([3, 4, 6, 8]);
  rmsNorm(x, new Float32Array([1, 2]), 0, x);
  const root = Math.sqrt(12.5);
  const want = [3 / root, 8 / root, 3 / root, 8 / root];
  for (let i = 0; i < 4; i++) assert.equal(x[i], Math.fround(want[i]!));
});

Deno.test("rmsNorm() adds eps to the mean of the squares, so zeros stay zeros", () => {
  const out = new Float32Array(2);
  rmsNorm(new Float32Array(2), new Float32Array([5, 5]), 1e-6, out);
  assert.deepEqual(out, new Float32Array(2));
  rmsNorm(new Float32Array([1, 1]), new Float32Array([1, 1]), 3, out);
  assert.deepEqual(out, new Float32Array([0.5, 0.5]));
});

Deno.test("rmsNorm() does not overflow where the squares pass single precision", () => {
  const out = new Float32Array(2);
  rmsNorm(new Float32Array([1e30, -1e30]), new Float32Array([1, 1]), 0, out);
  assert.deepEqual(out, new Float32Array([1, -1]));
});

Deno.test("rmsNorm() refuses a broken run", () => {
  const out = new Float32Array(3);
  assert.throws(() => rmsNorm(out, new Float32Array(2), 0, out), /3 values/);
  assert.throws(() => rmsNorm(out, new Float32Array(0), 0, out), /runs of 0/);
});
