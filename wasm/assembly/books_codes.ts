// Parts of a block's arithmetic for weights of books; books.ts draws the layouts.
import { PAIRS, QUADS_S8, QUADS_U8, step, widen } from "./lanes";

/** Whether a code takes two products. */
// @ts-ignore: decorator
@inline
export function isSplit(mode: i32, wide: bool): bool {
  return ASC_FEATURE_RELAXED_SIMD && wide && mode == PAIRS;
}

/** Whether 31·127·2 a step would exceed 16 bits after four of them. */
// @ts-ignore: decorator
@inline
export function flushes(mode: i32, wide: bool): bool {
  return ASC_FEATURE_RELAXED_SIMD && !wide && mode == PAIRS;
}

/** Which form of the book is multiplied with. */
// @ts-ignore: decorator
@inline
export function form(mode: i32, wide: bool): usize {
  if (!ASC_FEATURE_RELAXED_SIMD) return 0;
  if (!wide) return 16;
  return mode == QUADS_U8 ? 48 : mode == QUADS_S8 ? 0 : 16;
}

/** What was added to its values: 2 to this; 0 for nothing. */
// @ts-ignore: decorator
@inline
export function offset(mode: i32, wide: bool): i32 {
  if (!ASC_FEATURE_RELAXED_SIMD) return 0;
  return wide ? (mode == QUADS_S8 ? 0 : 7) : 4;
}

/** What codes from 0 to 15 stand for. */
// @ts-ignore: decorator
@inline
export function values(book: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(book, codes);
  return i8x16.swizzle(book, codes);
}

/**
 * Adds x·v to the running sums. Without relaxed products both are taken apart into
 * 16-bit numbers, whose products may have any sign and are summed in 32 bits.
 */
// @ts-ignore: decorator
@inline
export function add(mode: i32, x: v128, v: v128, s: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return step(mode, x, v, s);
  const even = i32x4.dot_i16x8_s(
    i16x8.shr_s(i16x8.shl(x, 8), 8),
    i16x8.shr_s(i16x8.shl(v, 8), 8),
  );
  const odd = i32x4.dot_i16x8_s(i16x8.shr_s(x, 8), i16x8.shr_s(v, 8));
  return i32x4.add(i32x4.add(s, even), odd);
}

/** The four i32 row sums that running sums, and those of upper halves, stand for. */
// @ts-ignore: decorator
@inline
export function total(mode: i32, wide: bool, s: v128, low: v128): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return s;
  if (isSplit(mode, wide)) {
    return i32x4.add(i32x4.shl(widen(mode, s), 4), widen(mode, low));
  }
  return widen(mode, s);
}
