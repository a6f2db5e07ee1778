import assert from "node:assert/strict";
import {
  fromBf16,
  fromE4m3,
  fromE8m0,
  readBf16,
  reciprocal,
  toBf16,
  toCode,
  toE4m3,
  toE8m0,
  toScale,
  write16,
} from "./scales.ts";

const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The f32 `by` patterns above `x`. */
function nudged(x: number, by: number): number {
  float[0] = x;
  word[0]! += by;
  return float[0]!;
}

/** Value of a bf16 by its definition. */
function brain(code: number): number {
  const sign = code & 0x8000 ? -1 : 1;
  const exponent = (code >>> 7) & 255, fraction = code & 127;
  if (exponent === 255) return fraction ? NaN : sign * Infinity;
  return exponent === 0
    ? sign * fraction * 2 ** -133
    : sign * (1 + fraction / 128) * 2 ** (exponent - 127);
}

Deno.test("fromBf16() and toBf16() are exact for all 65,536 patterns", () => {
  for (let code = 0; code < 65536; code++) {
    const value = brain(code);
    assert.ok(Object.is(fromBf16(code), value), `pattern ${code}`);
    assert.equal(toBf16(value), Number.isNaN(value) ? 0x7fc0 : code);
  }
});

Deno.test("toBf16() rounds to the nearest pattern, midpoints to the even one", () => {
  for (let code = 0; code < 0x7f7f; code++) {
    const middle = (brain(code) + brain(code + 1)) / 2;
    const even = code % 2 === 0 ? code : code + 1;
    assert.equal(toBf16(middle), even, `above ${code}`);
    assert.equal(toBf16(nudged(middle, -1)), code);
    assert.equal(toBf16(nudged(middle, 1)), code + 1);
    assert.equal(toBf16(-middle), even | 0x8000);
  }
});

Deno.test("toE4m3() and fromE4m3() are exact for all 256 patterns", () => {
  for (let code = 0; code < 256; code++) {
    const value = fromE4m3(code);
    if ((code & 0x7f) === 0x7f) assert.ok(Number.isNaN(value));
    else assert.equal(toE4m3(value), code, `pattern ${code}`);
  }
  assert.equal(toE4m3(NaN), 0x7f);
  // Corners of the format, from its definition.
  const corners = [[0, 0], [1, 2 ** -9], [7, 7 * 2 ** -9], [8, 2 ** -6], [
    0x38,
    1,
  ], [0x7e, 448]];
  for (const [code, value] of corners) assert.equal(fromE4m3(code!), value);
});

Deno.test("toE4m3() rounds to the nearest pattern, midpoints to the even one, and stays at 448", () => {
  for (let code = 0; code < 0x7e; code++) {
    assert.ok(fromE4m3(code) < fromE4m3(code + 1));
    const middle = (fromE4m3(code) + fromE4m3(code + 1)) / 2;
    const even = code % 2 === 0 ? code : code + 1;
    assert.equal(toE4m3(middle), even, `above ${code}`);
    assert.equal(toE4m3(nudged(middle, -1)), code);
    assert.equal(toE4m3(nudged(middle, 1)), code + 1);
    assert.equal(toE4m3(-middle), even | 0x80);
  }
  for (const x of [448.1, 463, 464, 465, 1e30, Infinity]) {
    assert.equal(toE4m3(x), 0x7e);
  }
  assert.equal(toE4m3(1e-30), 0);
});

Deno.test("toE8m0() is the largest power of two up to a value, for every code", () => {
  for (let code = 1; code < 255; code++) {
    const value = fromE8m0(code);
    assert.equal(value, 2 ** (code - 127));
    for (const x of [value, value * 1.5, nudged(value * 2, -1)]) {
      assert.equal(toE8m0(x), code, `${x}`);
    }
  }
  for (const x of [0, 1e-40, nudged(2 ** -126, -1)]) assert.equal(toE8m0(x), 0);
  assert.equal(fromE8m0(0), 2 ** -127);
  assert.ok(Number.isNaN(fromE8m0(255)));
});

Deno.test("toScale() is a bf16 with a finite reciprocal, or 0", () => {
  for (const x of [2 ** -126, 1e-30, 1, 1e30]) {
    assert.equal(toScale(x), toBf16(x));
    assert.ok(Number.isFinite(reciprocal(fromBf16(toScale(x)))));
  }
  for (const x of [0, 1e-45, 2 ** -127]) assert.equal(toScale(x), 0);
  assert.equal(reciprocal(0), 0);
  assert.equal(reciprocal(3), Math.fround(1 / 3));
});

Deno.test("toCode() rounds halves to even and stays within its bounds", () => {
  const cases = [[0.5, 0], [1.5, 2], [-0.5, 0], [-2.5, -2], [9.5, 7], [-9, -7]];
  for (const [x, code] of cases) assert.equal(toCode(x!, -7, 7) + 0, code);
});

Deno.test("write16() and readBf16() put the lower byte first", () => {
  const bytes = new Uint8Array(4);
  write16(bytes, 1, 0x3fc0);
  assert.deepEqual([...bytes], [0, 0xc0, 0x3f, 0]);
  assert.equal(readBf16(bytes, 1), 1.5);
});
