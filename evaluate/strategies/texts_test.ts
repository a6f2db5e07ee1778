import assert from "node:assert/strict";
import { slices } from "./texts.ts";

Deno.test("slices() gives every token once and says when there are none left", () => {
  const next = slices([1, 2, 3, 4, 5]);
  assert.deepEqual(next(2), [1, 2]);
  assert.deepEqual(next(3), [3, 4, 5]);
  assert.throws(() => next(1), /Cannot cut 1 tokens more: 0 of 5 are left/);
});
