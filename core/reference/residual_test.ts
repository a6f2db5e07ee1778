import assert from "node:assert/strict";
import { addBias, residual } from "./residual.ts";

Deno.test("residual() adds in place and refuses another length", () => {
  const x = new Float32Array([1, 2]);
  residual(x, new Float32Array([10, -2]));
  assert.deepEqual(x, new Float32Array([11, 0]));
  residual(new Float32Array(0), new Float32Array(0));
  assert.throws(() => residual(x, new Float32Array(3)), /3 values to 2/);
});

Deno.test("residual() scales what it adds, and that alone", () => {
  const x = new Float32Array([1, 2]);
  residual(x, new Float32Array([10, -2]), 0.5);
  assert.deepEqual(x, new Float32Array([6, 1]));
});

Deno.test("addBias() adds to every run, and refuses runs that are not whole", () => {
  const x = new Float32Array([1, 2, 3, 4]);
  addBias(x, new Float32Array([10, 20]));
  assert.deepEqual(x, new Float32Array([11, 22, 13, 24]));
  assert.throws(() => addBias(x, new Float32Array(3)), /3 values to 4/);
  assert.throws(() => addBias(x, new Float32Array(0)), RangeError);
});
