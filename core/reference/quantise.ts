/**
 * What the fast kernels do to activations before an integer matrix product.
 *
 * ```text
 *  row     32 values | 32 values | …
 *  codes   32 int8   | 32 int8   | …     -127 .. 127
 *  scales  one f32   | one f32   | …     value ≈ code * scale
 * ```
 *
 * Everything is single precision, in this order: max = largest magnitude,
 * scale = max/127, inverse = 127/max, code = x*inverse to the nearest whole
 * number, ties to even. A block whose largest magnitude is below 2^-120 (where
 * the inverse would overflow) gets zeros and scale 0.
 *
 * @module
 */
import { roundHalfEven } from "../f16.ts";

/** Values that share one scale. */
export const QUANTISE_BLOCK = 32;

const SMALLEST = 2 ** -120;

/**
 * Rounds finite `x` to int8 codes, one scale for each 32 values. Throws a
 * RangeError on a length that is no multiple of 32 or on too little room.
 */
export function quantise(
  x: Float32Array,
  codes: Int8Array,
  scales: Float32Array,
): void {
  const blocks = x.length / QUANTISE_BLOCK;
  if (blocks % 1 !== 0 || codes.length < x.length || scales.length < blocks) {
    throw new RangeError(
      `Cannot quantise ${x.length} values into ${codes.length} codes and ${scales.length} scales: pass whole blocks of ${QUANTISE_BLOCK} and room for each`,
    );
  }
  for (let block = 0; block < blocks; block++) {
    const from = block * QUANTISE_BLOCK;
    const to = from + QUANTISE_BLOCK;
    let max = 0;
    for (let i = from; i < to; i++) max = Math.max(max, Math.abs(x[i]!));
    const empty = max < SMALLEST;
    const inverse = empty ? 0 : Math.fround(127 / max);
    scales[block] = empty ? 0 : max / 127;
    for (let i = from; i < to; i++) {
      codes[i] = roundHalfEven(Math.fround(x[i]! * inverse));
    }
  }
}

/** Values of the codes of `quantise`, single precision. */
export function dequantise(
  codes: Int8Array,
  scales: Float32Array,
  out: Float32Array,
): void {
  for (let i = 0; i < codes.length; i++) {
    out[i] = codes[i]! * scales[Math.floor(i / QUANTISE_BLOCK)]!;
  }
}
