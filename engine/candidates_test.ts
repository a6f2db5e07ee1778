import assert from "node:assert/strict";
import { Candidates } from "./candidates.ts";

const LOGITS = Float32Array.of(3, 1, NaN, 3, -2, 5, -Infinity, 0);

/** All of them, best first. */
function taken(c: Candidates): number[] {
  c.order();
  for (let i = 0; i < c.count; i++) c.take();
  return Array.from({ length: c.count }, (_, i) => c.id(c.count - 1 - i));
}

Deno.test("Candidates.take() gives the best first, ties by lower id, NaN among the last", () => {
  const c = new Candidates();
  c.all(LOGITS);
  assert.equal(c.id(c.best()), 5);
  assert.deepEqual(taken(c), [5, 0, 3, 1, 7, 4, 2, 6]);
  // As many times as wanted, and after another row.
  for (const n of [1, 2, 1000]) {
    const logits = Float32Array.from({ length: n }, (_, i) => (i * 37) % 101);
    c.all(logits);
    const want = [...logits.keys()]
      .sort((a, b) => logits[b]! - logits[a]! || a - b);
    assert.deepEqual(taken(c), want);
  }
});

Deno.test("Candidates.find() makes a token one where only some are", () => {
  const c = new Candidates();
  c.some(LOGITS, Int32Array.of(5, 0, -1, 9), Float32Array.of(5, 3, 0, 0), 4, 2);
  assert.equal(c.count, 2);
  assert.equal(c.find(0), 1);
  assert.equal(c.value(c.find(4)), -2);
  assert.equal(c.value(c.find(2)), -Infinity);
  assert.equal(c.count, 4);
  c.set(c.find(4), 9);
  assert.deepEqual(taken(c), [4, 5, 0, 2]);
  c.all(LOGITS);
  assert.equal(c.find(4), 4);
  assert.equal(c.count, LOGITS.length);
});

Deno.test("Candidates.drop() leaves out what is below", () => {
  const c = new Candidates();
  c.all(LOGITS);
  c.drop(1);
  assert.deepEqual(taken(c), [5, 0, 3, 1]);
});
