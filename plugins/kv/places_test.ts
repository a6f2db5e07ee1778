import assert from "node:assert/strict";
import {
  keyByte,
  keyNibble,
  nibbleAt,
  putNibble,
  valueByte,
  valueNibble,
} from "./places.ts";

const T = 16, D = 24;

/** Every place of a table of positions and dimensions, ascending. */
function all(
  positions: number,
  place: (p: number, d: number) => number,
): number[] {
  const out: number[] = [];
  for (let p = 0; p < positions; p++) {
    for (let d = 0; d < D; d++) out.push(place(p, d));
  }
  return out.sort((a, b) => a - b);
}

Deno.test("places are taken once each, and none is left out", () => {
  const upTo = (n: number) => Array.from({ length: n }, (_, i) => i);
  assert.deepEqual(all(8, keyByte), upTo(8 * D));
  assert.deepEqual(all(8, keyNibble), upTo(8 * D));
  assert.deepEqual(all(T, (p, d) => valueByte(p, d, T)), upTo(T * D));
  assert.deepEqual(all(T, (p, d) => valueNibble(p, d, T)), upTo(T * D));
});

Deno.test("keyByte() and valueByte() put pairs side by side", () => {
  // Positions 0 and 1 of K, dims 0 to 2; the third pair of dims is 16 bytes on.
  assert.deepEqual([0, 1, 2].map((d) => keyByte(1, d)), [2, 3, 18]);
  assert.equal(
    keyByte(9, 5),
    2 * 16 + 2 + 1,
    "the second tile is as the first",
  );
  assert.deepEqual([0, 1, 2].map((p) => valueByte(p, 1, T)), [2, 3, 18]);
  assert.equal(valueByte(5, 10, T), (8 + 2) * 16 + 2 * 2 + 1);
});

Deno.test("keyNibble() and valueNibble(): four dims, or four positions, in two bytes", () => {
  const byte = (n: number) => [n >> 1, n & 1];
  assert.deepEqual([0, 1, 2, 3, 4].map((d) => byte(keyNibble(1, d))), [
    [2, 0],
    [3, 0],
    [2, 1],
    [3, 1],
    [18, 0],
  ]);
  assert.deepEqual([0, 1, 2, 3, 4].map((p) => byte(valueNibble(p, 9, T))), [
    [66, 0],
    [67, 0],
    [66, 1],
    [67, 1],
    [82, 0],
  ]);
});

Deno.test("putNibble() and nibbleAt() leave the other half of a byte alone", () => {
  const bytes = new Uint8Array(3);
  putNibble(bytes, 1, 0, 0xA);
  putNibble(bytes, 1, 1, 0x5);
  putNibble(bytes, 1, 3, 0xF);
  assert.deepEqual([...bytes], [0, 0x5A, 0xF0]);
  assert.deepEqual([0, 1, 2, 3].map((n) => nibbleAt(bytes, 1, n)), [
    0xA,
    5,
    0,
    15,
  ]);
});
