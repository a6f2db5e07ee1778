import assert from "node:assert/strict";
import { capped, softCap } from "./soft_cap.ts";

Deno.test("capped() is the identity near 0 and never beyond the cap", () => {
  assert.ok(Math.abs(capped(1e-3, 50) - 1e-3) < 1e-12);
  assert.equal(capped(1e9, 50), 50);
  assert.equal(capped(-1e9, 50), -50);
  assert.equal(capped(50, 50), 50 * Math.tanh(1));
  assert.equal(capped(123, undefined), 123);
});

Deno.test("softCap() scales before it caps", () => {
  const x = new Float32Array([8, -8]), want = Math.fround(2 * Math.tanh(2));
  softCap(x, 2, 0.5);
  assert.deepEqual(x, new Float32Array([want, -want]));
  softCap(x, undefined, 2);
  assert.deepEqual(x, new Float32Array([2 * want, -2 * want]));
  softCap(x, undefined);
  assert.deepEqual(x, new Float32Array([2 * want, -2 * want]));
});
