import assert from "node:assert/strict";
import { f16K, f16V } from "./f16.ts";
import { f16Bound, partSuite, sealed, through } from "./testing/part_suite.ts";

const bits = [[8, 8, 16], [64, 64, 16]] as const;
for (const [side, part] of [["K", f16K], ["V", f16V]] as const) {
  partSuite(`f16${side}`, part, {
    side,
    bound: f16Bound,
    bits,
    dims: 8,
    noise: 0.00022,
  });

  Deno.test(`f16${side} keeps what f16 holds from 2^-14 on, and makes less 0`, () => {
    const x = new Float32Array(64);
    const kept = [1, -1.5, 65504, -65504, 2 ** -14, 1023 / 1024, -0];
    x.set(kept);
    x.set([2 ** -15, -(2 ** -24), 65519, 131000, -131000], 8);
    const back = through(part, x, 8, 8);
    assert.deepEqual([...back.subarray(0, 7)], kept);
    assert.deepEqual(
      [...back.subarray(8, 13)],
      [0, -0, 65504, 65504, -65504],
    );
  });
}

Deno.test("f16K lies by eight positions, f16V by rows", () => {
  // 16 positions of 8 values, each its own small whole number.
  const x = Float32Array.from({ length: 128 }, (_, i) => i);
  const k = new Float16Array(sealed(f16K, x, 16, 8).buffer);
  assert.deepEqual([...k.subarray(0, 9)], [0, 8, 16, 24, 32, 40, 48, 56, 1]);
  assert.deepEqual([...k.subarray(64, 66)], [64, 72], "the second tile");
  const v = new Float16Array(sealed(f16V, x, 16, 8).buffer);
  assert.deepEqual([...v], [...x]);
});
