import assert from "node:assert/strict";
import {
  bytesOf,
  TENSOR_TYPES,
  typeLabel,
  weightTypeOf,
} from "./tensor_types.ts";

Deno.test("weightTypeOf() inverts the table and knows no other number", () => {
  const ids = Object.entries(TENSOR_TYPES).map(([name, { id }]) => {
    assert.equal(weightTypeOf(id), name);
    return id;
  });
  assert.equal(new Set(ids).size, 26);
  for (const id of [-1, 4, 5, 9, 15, 24, 28, 43, 9999, 2 ** 31]) {
    assert.equal(weightTypeOf(id), undefined);
  }
});

Deno.test("bytesOf() counts whole blocks", () => {
  assert.equal(bytesOf("F32", 3), 12);
  assert.equal(bytesOf("Q4_1", 64), 40);
  assert.equal(bytesOf("Q6_K", 256), 210);
  assert.equal(bytesOf("Q8_0", 0), 0);
});

Deno.test("typeLabel() names known, foreign and impossible types", () => {
  assert.equal(typeLabel(14), "Q6_K (14)");
  assert.equal(typeLabel(17), "IQ2_XS (17)");
  assert.equal(typeLabel(28), "F64 (28)");
  assert.equal(typeLabel(9999), "9999");
});
