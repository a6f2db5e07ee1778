import assert from "node:assert/strict";
import { matmul } from "./matmul.ts";

function values(length: number, seed: number): Float32Array {
  return Float32Array.from({ length }, (_, i) => Math.sin(i * 1.7 + seed));
}

Deno.test("matmul() gives each sum in double precision for every remainder of the tile", () => {
  for (const outputs of [1, 2, 3, 4, 5, 7, 8, 9]) {
    for (const rows of [0, 1, 3]) {
      const inputs = 5;
      const x = values(rows * inputs, 1);
      const w = values(outputs * inputs, 2);
      const out = new Float32Array(rows * outputs);
      matmul(x, w, inputs, out);
      for (let r = 0; r < rows; r++) {
        for (let o = 0; o < outputs; o++) {
          let sum = 0;
          for (let i = 0; i < inputs; i++) {
            sum += x[r * inputs + i]! * w[o * inputs + i]!;
          }
          assert.equal(out[r * outputs + o], Math.fround(sum));
        }
      }
    }
  }
});

Deno.test("matmul() gives a row the same bits alone and among others", () => {
  const x = values(6 * 96, 3);
  const w = values(10 * 96, 4);
  const all = new Float32Array(60);
  matmul(x, w, 96, all);
  for (let r = 0; r < 6; r++) {
    const one = new Float32Array(10);
    matmul(x.subarray(r * 96, r * 96 + 96), w, 96, one);
    assert.deepEqual(one, all.slice(r * 10, r * 10 + 10));
  }
});

Deno.test("matmul() keeps small terms beside large ones", () => {
  const out = new Float32Array(1);
  const x = new Float32Array([1e8, 1, -1e8]);
  matmul(x, new Float32Array([1, 1, 1]), 3, out);
  assert.equal(out[0], 1);
});

Deno.test("matmul() refuses broken rows and a short output", () => {
  const w = new Float32Array(6);
  assert.throws(() => matmul(new Float32Array(4), w, 3, w), RangeError);
  assert.throws(
    () => matmul(new Float32Array(6), w, 3, new Float32Array(3)),
    /room for 4/,
  );
});
