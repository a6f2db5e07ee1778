import assert from "node:assert/strict";
import { percentiles, quantile } from "./percentiles.ts";

Deno.test("quantile() lies between neighbours by straight lines, in any order", () => {
  const values = [40, 10, 30, 20];
  assert.equal(quantile(values, 0), 10);
  assert.equal(quantile(values, 0.5), 25);
  assert.equal(quantile(values, 1), 40);
  assert.equal(quantile(values, 0.9), 37);
  assert.equal(quantile([7], 0.99), 7);
  assert.deepEqual(values, [40, 10, 30, 20]);
});

Deno.test("quantile() sorts by value, not by text", () => {
  assert.equal(quantile([9, 100, 20], 0.5), 20);
});

Deno.test("quantile() refuses no values, no numbers and shares outside 0 to 1", () => {
  assert.throws(() => quantile([], 0.5), /0 values/);
  assert.throws(() => quantile([1, NaN], 0.5), RangeError);
  assert.throws(() => quantile([1], 1.5), /"1.5": a share from 0 to 1/);
});

Deno.test("percentiles() of 0 to 100 are their own names", () => {
  const values = Array.from({ length: 101 }, (_, i) => i);
  assert.deepEqual(percentiles(values), {
    mean: 50,
    p50: 50,
    p95: 95,
    p99: 99,
    n: 101,
  });
});
