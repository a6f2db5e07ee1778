import assert from "node:assert/strict";
import {
  argMax,
  klDivergence,
  logSoftmax,
  maxAbsDiff,
  quantile,
  rmsDiff,
  sameTop,
  topIds,
} from "./compare.ts";

Deno.test("logSoftmax() sums to one, far from zero too", () => {
  for (const shift of [0, 1e4, -1e4]) {
    const logs = logSoftmax([shift, shift + Math.log(3)]);
    assert.ok(Math.abs(logs[0]! - Math.log(0.25)) < 1e-9);
    assert.ok(Math.abs(logs[1]! - Math.log(0.75)) < 1e-9);
  }
  assert.deepEqual([...logSoftmax([5])], [0]);
  assert.equal(logSoftmax([]).length, 0);
});

Deno.test("maxAbsDiff() is the largest distance, and NaN once anything is NaN", () => {
  assert.equal(maxAbsDiff([1, 2, 3], [1, 4, 2]), 2);
  assert.equal(maxAbsDiff([], []), 0);
  assert.equal(maxAbsDiff([Infinity], [Infinity]), 0);
  assert.ok(Number.isNaN(maxAbsDiff([1, NaN, 3], [1, 2, 9])));
  assert.throws(() => maxAbsDiff([1], [1, 2]), /1 values with 2/);
});

Deno.test("rmsDiff() weighs squares", () => {
  assert.equal(rmsDiff([0, 0], [3, 4]), Math.sqrt(12.5));
});

Deno.test("klDivergence() is 0 for equal rows and the known value for others", () => {
  const p = [0.5, 0.5].map(Math.log);
  const q = [0.25, 0.75].map(Math.log);
  assert.equal(klDivergence(p, p), 0);
  const want = 0.5 * Math.log(2) + 0.5 * Math.log(2 / 3);
  assert.ok(Math.abs(klDivergence(p, q) - want) < 1e-12);
  assert.equal(klDivergence([0, -Infinity], [0, -1]), 0);
});

Deno.test("topIds() and argMax() settle ties by lower id", () => {
  assert.deepEqual(topIds([1, 3, 3, 2], 3), [1, 2, 3]);
  assert.deepEqual(topIds([1], 3), [0]);
  assert.equal(argMax([1, 3, 3]), 1);
});

Deno.test("sameTop() allows ties and nothing else", () => {
  const values = [0, 4, 3, 2.999, 1];
  assert.ok(sameTop(values, [1, 2, 3], 0));
  assert.ok(sameTop(values, [1, 3, 2], 0.01));
  assert.ok(sameTop(values, [1, 3], 0.01));
  assert.ok(!sameTop(values, [1, 3, 2], 0.0001));
  assert.ok(!sameTop(values, [2, 1, 3], 0.01));
  assert.ok(!sameTop(values, [1, 2, 9], 0.01));
  assert.ok(!sameTop([NaN, NaN], [1, 0], 0.01));
});

Deno.test("quantile() goes straight between neighbours", () => {
  assert.equal(quantile([3, 1, 2], 0.5), 2);
  assert.equal(quantile([1, 2], 0.5), 1.5);
  assert.equal(quantile([0, 10], 0.95), 9.5);
  assert.equal(quantile([7], 0.95), 7);
  assert.ok(Number.isNaN(quantile([], 0.5)));
});
