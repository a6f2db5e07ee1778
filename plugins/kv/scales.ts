/**
 * Scales in few bits, by their bit patterns.
 *
 * ```text
 *  bf16   sign | exponent 8 | fraction 7     the upper half of an f32
 *  E4M3   sign | exponent 4 | fraction 3     bias 7, largest 448, no infinities
 *  E8M0          exponent 8                  2^(code - 127), 255 is no number
 * ```
 *
 * @module
 */
import { roundHalfEven } from "../../core/f16.ts";

const float = new Float32Array(1);
const bits = new Uint32Array(float.buffer);

/** Largest value of E4M3. */
export const E4M3_LARGEST = 448;

/** Bit pattern of the bf16 nearest to `x`, halfway cases to the even one. */
export function toBf16(x: number): number {
  float[0] = x;
  const pattern = bits[0]!;
  if ((pattern & 0x7fffffff) > 0x7f800000) return 0x7fc0;
  return ((pattern + 0x7fff + ((pattern >>> 16) & 1)) >>> 16) & 0xffff;
}

/** Value of a bf16's bit pattern. */
export function fromBf16(code: number): number {
  bits[0] = code << 16;
  return float[0]!;
}

/**
 * `toBf16()` of a scale, `x` at least 0. One below 2^-126 becomes 0, so that the
 * reciprocal of every other is finite.
 */
export function toScale(x: number): number {
  const code = toBf16(x);
  return code < 0x80 ? 0 : code;
}

/** What values are multiplied with to become codes; 0 for a scale of 0. */
export function reciprocal(scale: number): number {
  return scale === 0 ? 0 : Math.fround(1 / scale);
}

/** The whole number nearest to `x`, halfway cases to the even one, within bounds. */
export function toCode(x: number, least: number, most: number): number {
  return Math.max(least, Math.min(most, roundHalfEven(x)));
}

/** Writes a 16-bit pattern, lower byte first. */
export function write16(out: Uint8Array, at: number, code: number): void {
  out[at] = code;
  out[at + 1] = code >>> 8;
}

/** Value of the bf16 at `at`. */
export function readBf16(bytes: Uint8Array, at: number): number {
  return fromBf16(bytes[at]! | (bytes[at + 1]! << 8));
}

/**
 * Bit pattern of the E4M3 nearest to `x`, halfway cases to the even one, beyond
 * 448 that of 448. No number has 0x7f.
 */
export function toE4m3(x: number): number {
  if (Number.isNaN(x)) return 0x7f;
  const sign = x < 0 || Object.is(x, -0) ? 0x80 : 0;
  const a = Math.min(E4M3_LARGEST, Math.abs(Math.fround(x)));
  if (a < 2 ** -6) return sign | roundHalfEven(a * 2 ** 9);
  float[0] = a;
  const pattern = bits[0]!;
  // The dropped 20 bits round by carry, which may ripple into the exponent.
  const odd = (pattern >>> 20) & 1;
  return sign | ((pattern - (120 << 23) + 0x7ffff + odd) >>> 20);
}

/** Value of an E4M3's bit pattern. */
export function fromE4m3(code: number): number {
  const sign = code & 0x80 ? -1 : 1;
  const exponent = (code >>> 3) & 15;
  const fraction = code & 7;
  if (exponent === 15 && fraction === 7) return NaN;
  if (exponent === 0) return sign * fraction * 2 ** -9;
  return sign * (1 + fraction / 8) * 2 ** (exponent - 7);
}

/** E8M0 code of the largest power of two up to `x`; 0 for what is below 2^-126. */
export function toE8m0(x: number): number {
  float[0] = x;
  return (bits[0]! >>> 23) & 255;
}

/** Value of an E8M0 code. */
export function fromE8m0(code: number): number {
  return code === 255 ? NaN : 2 ** (code - 127);
}
