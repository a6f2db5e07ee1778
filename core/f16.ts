/**
 * Half-precision floats as bit patterns.
 *
 * ```text
 *  15 | 14 .. 10 |  9 .. 0     value
 *  sign  exponent   fraction   exponent 0: fraction * 2^-24 (subnormal)
 *                              exponent 1..30: (1 + fraction/1024) * 2^(exponent-15)
 *                              exponent 31: infinity, or NaN where fraction > 0
 * ```
 *
 * @module
 */

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Single-precision pattern of the smallest normal half, 2^-14. */
const SMALLEST_NORMAL = 0x38800000;
/** Single-precision pattern of 65520, the midpoint above the largest half. */
const OVERFLOW = 0x477ff000;
const INFINITY = 0x7f800000;

/** To the nearest whole number, halfway cases to the even one. */
export function roundHalfEven(x: number): number {
  const down = Math.floor(x);
  const rest = x - down;
  if (rest < 0.5) return down;
  if (rest > 0.5) return down + 1;
  return down % 2 === 0 ? down : down + 1;
}

/**
 * Bit pattern of the half nearest to the single-precision value `x`, halfway
 * cases to the even pattern, above 65504 by half a step or more to infinity.
 * A NaN stays a (quiet) NaN.
 */
export function toF16Bits(x: number): number {
  float[0] = x;
  const pattern = bits[0]!;
  const sign = (pattern >>> 16) & 0x8000;
  const magnitude = pattern & 0x7fffffff;
  if (magnitude > INFINITY) return sign | 0x7e00;
  if (magnitude >= OVERFLOW) return sign | 0x7c00;
  if (magnitude < SMALLEST_NORMAL) {
    // 1024 is the pattern of the smallest normal, so rounding up carries right.
    return sign | roundHalfEven(Math.abs(float[0]!) * 2 ** 24);
  }
  // The dropped 13 bits round by carry, which may ripple into the exponent.
  const odd = (magnitude >>> 13) & 1;
  return sign | ((magnitude - 0x38000000 + 0xfff + odd) >>> 13);
}

/** Value of a half's bit pattern. */
export function fromF16Bits(code: number): number {
  const sign = code & 0x8000 ? -1 : 1;
  const exponent = (code >>> 10) & 31;
  const fraction = code & 1023;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** `toF16Bits` over an array; `out` is at least as long as `values`. */
export function encodeF16(values: Float32Array, out: Uint16Array): void {
  if (out.length < values.length) {
    throw new RangeError(
      `Cannot encode ${values.length} values into ${out.length} halves: make the output as long`,
    );
  }
  for (let i = 0; i < values.length; i++) out[i] = toF16Bits(values[i]!);
}

/** `fromF16Bits` over an array; `out` is at least as long as `codes`. */
export function decodeF16(codes: Uint16Array, out: Float32Array): void {
  if (out.length < codes.length) {
    throw new RangeError(
      `Cannot decode ${codes.length} halves into ${out.length} values: make the output as long`,
    );
  }
  for (let i = 0; i < codes.length; i++) out[i] = fromF16Bits(codes[i]!);
}
