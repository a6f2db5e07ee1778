import assert from "node:assert/strict";
import { topK } from "./top_k.ts";

function top(logits: readonly number[], k: number): [number[], number[]] {
  const ids = new Int32Array(k);
  const values = new Float32Array(k);
  topK(new Float32Array(logits), ids, values);
  return [[...ids], [...values]];
}

Deno.test("topK() gives the largest, best first", () => {
  assert.deepEqual(top([1, 5, 3, 4], 3), [[1, 3, 2], [5, 4, 3]]);
  assert.deepEqual(top([1, 5, 3, 4], 1), [[1], [5]]);
  assert.deepEqual(top([4, 3, 2], 3), [[0, 1, 2], [4, 3, 2]]);
});

Deno.test("topK() settles ties by lower id", () => {
  assert.deepEqual(top([2, 7, 7, 2, 7], 4)[0], [1, 2, 4, 0]);
  assert.deepEqual(top([0, 0, 0], 2)[0], [0, 1]);
});

Deno.test("topK() puts NaN last and -Infinity before it", () => {
  assert.deepEqual(top([NaN, -Infinity, 1, NaN], 4)[0], [2, 1, 0, 3]);
  assert.deepEqual(top([NaN, NaN], 1)[0], [0]);
});

Deno.test("topK() equals a sort", () => {
  const logits = Array.from({ length: 500 }, (_, i) => (i * 7919) % 101);
  const want = logits.map((_, i) => i).sort((a, b) =>
    logits[b]! - logits[a]! || a - b
  );
  for (const k of [0, 1, 40, 500]) {
    assert.deepEqual(top(logits, k)[0], want.slice(0, k));
  }
});

Deno.test("topK() refuses more than there are", () => {
  assert.throws(() => top([1, 2], 3), /Cannot find 3 largest of 2/);
});
