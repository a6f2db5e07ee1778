import assert from "node:assert/strict";
import { rotate, rotated, runOf } from "./hadamard.ts";
import { int8K } from "./int8.ts";
import { normal, rms, sealed, through } from "./testing/part_suite.ts";

/** Entry of Sylvester's matrix: the parity of the bits that row and column share. */
function entry(row: number, column: number): number {
  let odd = 0;
  for (let both = row & column; both; both &= both - 1) odd ^= 1;
  return odd ? -1 : 1;
}

Deno.test("rotate() multiplies with Sylvester's matrix over the root of its size, run by run", () => {
  for (const headDim of [8, 16, 24, 64, 80, 96, 256]) {
    const n = runOf(headDim), x = normal(headDim + 3, headDim);
    const y = x.slice();
    rotate(y, 2, headDim);
    assert.deepEqual([y[0], y[1], y.at(-1)], [x[0], x[1], x.at(-1)], "around");
    for (let i = 0; i < headDim; i++) {
      const from = i - i % n;
      let sum = 0;
      for (let j = 0; j < n; j++) sum += entry(i % n, j) * x[2 + from + j]!;
      const wanted = sum / Math.sqrt(n);
      assert.ok(Math.abs(y[2 + i]! - wanted) < 2e-6, `${headDim}, ${i}`);
    }
  }
});

Deno.test("runOf() is the largest power of two that divides", () => {
  const sizes = [[8, 8], [64, 64], [80, 16], [96, 32], [24, 8], [256, 256]];
  for (const [size, run] of sizes) assert.equal(runOf(size!), run);
});

Deno.test("rotate() is its own inverse, up to f32", () => {
  for (const headDim of [8, 64, 96, 128, 256]) {
    const x = normal(headDim), y = x.slice();
    rotate(y, 0, headDim);
    assert.ok(rms(x, y) > 0.5, "something happens");
    rotate(y, 0, headDim);
    x.forEach((v, i) => assert.ok(Math.abs(v - y[i]!) < 2e-6));
  }
});

Deno.test("rotate() of a single value has its bits all over the row: order and rounding are fixed", () => {
  const x = new Float32Array(8);
  x[5] = Math.fround(0.1);
  rotate(x, 0, 8);
  const k = Math.fround(1 / Math.fround(Math.sqrt(8)));
  const v = Math.fround(Math.fround(0.1) * k);
  assert.deepEqual([...x], [v, -v, v, -v, -v, v, -v, v]);
  for (const one of normal(100)) {
    x.fill(0);
    x[0] = one;
    rotate(x, 0, 8);
    assert.equal(x[7], Math.fround(one * k));
  }
  // (1 + 2^24) + -2^24 is 0 in f32, where 1 + (2^24 + -2^24) would be 1.
  const y = Float32Array.from([1, 2 ** 24, -(2 ** 24), 0, 0, 0, 0, 0]);
  rotate(y, 0, 8);
  assert.equal(y[0], 0);
});

Deno.test("rotated() seals what is rotated, leaves what it is given, and turns back", () => {
  const part = rotated(int8K), x = normal(16 * 64), given = x.slice();
  assert.equal(part.id, "int8h");
  const bytes = sealed(part, x, 16, 64);
  assert.deepEqual(x, given);
  const turned = x.slice();
  for (let p = 0; p < 16; p++) rotate(turned, p * 64, 64);
  assert.deepEqual(bytes, sealed(int8K, turned, 16, 64));
  assert.ok(rms(x, through(part, x, 16, 64)) < 0.01);
  // A smaller block after a larger one.
  assert.ok(rms(normal(8 * 32), through(part, normal(8 * 32), 8, 32)) < 0.01);
});
