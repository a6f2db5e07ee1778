import assert from "node:assert/strict";
import { median, summary } from "./statistics.ts";

Deno.test("median() of an odd number of values is the middle one, in any order", () => {
  assert.equal(median([3]), 3);
  assert.equal(median([9, 1, 5]), 5);
  assert.equal(median([10, 9, 100, 1, 2]), 9);
});

Deno.test("median() of an even number is the mean of the middle two", () => {
  assert.equal(median([4, 1]), 2.5);
  assert.equal(median([8, 1, 2, 4]), 3);
});

Deno.test("summary() sorts by value, not by text, and leaves its input alone", () => {
  const values = [100, 20, 3];
  assert.deepEqual(summary(values), { median: 20, min: 3, max: 100, n: 3 });
  assert.deepEqual(values, [100, 20, 3]);
});

Deno.test("summary() keeps the median within the bounds for huge values", () => {
  const { median, max } = summary([1e308, 1.5e308]);
  assert.ok(median <= max && median >= 1e308, `${median}`);
});

Deno.test("summary() refuses no values and values that are no numbers", () => {
  assert.throws(() => summary([]), /no values: one is the least/);
  for (const wrong of [NaN, Infinity, -Infinity]) {
    assert.throws(() => summary([1, wrong]), RangeError);
  }
});
