import assert from "node:assert/strict";
import { finite } from "./finite.ts";

Deno.test("finite() leaves numbers of f16's range as they are, and brings others to it", () => {
  for (const x of [0, 1, -2.5, 65504, -65504, 1e-40]) {
    assert.equal(finite(x), x);
  }
  assert.ok(Object.is(finite(-0), -0));
  for (const x of [65505, 1e30, 3e38, Infinity]) {
    assert.equal(finite(x), 65504);
    assert.equal(finite(-x), -65504);
  }
  assert.equal(finite(NaN), 0);
});
