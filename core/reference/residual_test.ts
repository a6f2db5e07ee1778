import assert from "node:assert/strict";
import { residual } from "./residual.ts";

Deno.test("residual() adds in place and refuses another length", () => {
  const x = new Float32Array([1, 2]);
  residual(x, new Float32Array([10, -2]));
  assert.deepEqual(x, new Float32Array([11, 0]));
  residual(new Float32Array(0), new Float32Array(0));
  assert.throws(() => residual(x, new Float32Array(3)), /3 values to 2/);
});
