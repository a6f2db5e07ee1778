import assert from "node:assert/strict";
import type { TensorInfo } from "../../core/model.ts";
import { matrixOf, rowsOf } from "./views.ts";

const tensor: TensorInfo = {
  name: "a",
  type: "Q4_0",
  inputs: 64,
  outputs: 10,
  stack: 3,
  file: 1,
  offset: 1000,
  bytes: 36 * 30,
};

Deno.test("matrixOf() and rowsOf() point into the same bytes", () => {
  const matrix = matrixOf(tensor, 2);
  assert.deepEqual(matrix, {
    ...tensor,
    name: "a[2]",
    stack: 1,
    offset: 1000 + 720,
    bytes: 360,
  });
  assert.deepEqual(rowsOf(matrix, 4, 6), {
    ...matrix,
    name: "a[2][4:10]",
    outputs: 6,
    offset: 1000 + 720 + 4 * 36,
    bytes: 216,
  });
});

Deno.test("matrixOf() and rowsOf() refuse what is not there", () => {
  assert.throws(() => matrixOf(tensor, 3), /has 3/);
  assert.throws(() => matrixOf(tensor, -1), RangeError);
  const matrix = matrixOf(tensor, 0);
  assert.throws(() => rowsOf(tensor, 0, 1), /each of 3 matrices/);
  for (const [from, count] of [[-1, 2], [0, 0], [5, 6]] as const) {
    assert.throws(() => rowsOf(matrix, from, count), RangeError);
  }
});
