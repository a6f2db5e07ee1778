import assert from "node:assert/strict";
import { embed } from "./embed.ts";

const table = new Float32Array([1, 2, 3, 4, 5, 6]);

Deno.test("embed() scales the rows the tokens name", () => {
  const out = new Float32Array(6);
  embed(table, 2, new Int32Array([2, 0, 2]), 0.5, out);
  assert.deepEqual(out, new Float32Array([2.5, 3, 0.5, 1, 2.5, 3]));
});

Deno.test("embed() leaves everything alone for no tokens", () => {
  const out = new Float32Array([7]);
  embed(table, 2, new Int32Array(0), 1, out);
  assert.equal(out[0], 7);
});

Deno.test("embed() refuses ids outside the table", () => {
  const out = new Float32Array(2);
  for (const id of [-1, 3, 0x7fffffff]) {
    assert.throws(
      () => embed(table, 2, new Int32Array([id]), 1, out),
      new RangeError(`Cannot embed token ${id}: ids go from 0 to 2`),
    );
  }
});
