import assert from "node:assert/strict";
import {
  decodeF16,
  encodeF16,
  fromF16Bits,
  roundHalfEven,
  toF16Bits,
} from "./f16.ts";

/** What the engine's own Float16Array makes of the same bits. */
const half = new Float16Array(1);
const pattern = new Uint16Array(half.buffer);

function native(x: number): number {
  half[0] = x;
  return pattern[0]!;
}

Deno.test("fromF16Bits() equals Float16Array for all 65,536 patterns", () => {
  for (let code = 0; code < 65536; code++) {
    pattern[0] = code;
    assert.ok(Object.is(fromF16Bits(code), half[0]!), `pattern ${code}`);
  }
});

Deno.test("toF16Bits() gives every pattern back", () => {
  for (let code = 0; code < 65536; code++) {
    const value = fromF16Bits(code);
    if (Number.isNaN(value)) {
      assert.ok(Number.isNaN(fromF16Bits(toF16Bits(value))));
    } else assert.equal(toF16Bits(value), code);
  }
});

Deno.test("toF16Bits() rounds midpoints and their neighbours as Float16Array does", () => {
  const single = new Float32Array(1);
  const word = new Uint32Array(single.buffer);
  for (let code = 0; code < 0x7c00; code++) {
    const next = code === 0x7bff ? 65536 : fromF16Bits(code + 1);
    single[0] = (fromF16Bits(code) + next) / 2;
    const middle = word[0]!;
    for (const w of [middle - 1, middle, middle + 1]) {
      word[0] = w;
      for (const x of [single[0]!, -single[0]!]) {
        assert.equal(toF16Bits(x), native(x), `value ${x}`);
      }
    }
  }
});

Deno.test("toF16Bits() handles the ends of the range", () => {
  for (
    const x of [0, -0, 65504, 65519.99, 65520, 1e9, Infinity, -Infinity, 1e-45]
  ) assert.equal(toF16Bits(x), native(Math.fround(x)), `value ${x}`);
  assert.equal(toF16Bits(2 ** -25), 0);
  assert.equal(toF16Bits(3 * 2 ** -25), 2);
  assert.equal(toF16Bits(NaN), 0x7e00);
});

Deno.test("roundHalfEven() takes ties to the even number", () => {
  for (
    const [x, want] of [
      [0.5, 0],
      [1.5, 2],
      [2.5, 2],
      [-0.5, -0],
      [-1.5, -2],
      [-2.5, -2],
      [1.49, 1],
      [-1.51, -2],
      [127, 127],
    ] as const
  ) assert.equal(roundHalfEven(x) + 0, want + 0, `${x}`);
});

Deno.test("encodeF16() and decodeF16() cover arrays, empty ones too, and refuse a short output", () => {
  const values = new Float32Array([1, -2.5, 0, 65504]);
  const codes = new Uint16Array(4);
  encodeF16(values, codes);
  const back = new Float32Array(4);
  decodeF16(codes, back);
  assert.deepEqual(back, values);
  encodeF16(new Float32Array(0), codes);
  assert.throws(() => encodeF16(values, new Uint16Array(3)), /4 values into 3/);
  assert.throws(() => decodeF16(codes, new Float32Array(1)), /4 halves into 1/);
});
