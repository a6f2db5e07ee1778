// Parts of a block's arithmetic for weights of 4, 5 and 8 bits; quants.ts draws the
// layouts.
import {
  loadHalves,
  madd,
  pairs,
  QUADS_S8,
  QUADS_U8,
  REST_SCALE,
} from "./lanes";

/** Where the scales stand in a block. */
// @ts-ignore: decorator
@inline
export function scalesAt(bits: i32): usize {
  return bits == 4 ? 128 : bits == 5 ? 160 : 256;
}

/** Bytes of a block. */
// @ts-ignore: decorator
@inline
export function blockBytes(bits: i32, half: bool, min: bool): usize {
  return scalesAt(bits) + (half ? 16 : 32) * (min ? 2 : 1);
}

/** Four scales, of the low or high half of a panel, at `p`. */
// @ts-ignore: decorator
@inline
export function scale(half: bool, p: usize, high: usize, mask: v128): v128 {
  return half ? loadHalves(p + (high << 3), mask) : v128.load(p + (high << 4));
}

/** A result with the rest of the factor that f16 scales lack. */
// @ts-ignore: decorator
@inline
export function whole(half: bool, v: v128): v128 {
  return half ? f32x4.mul(v, f32x4.splat(REST_SCALE)) : v;
}

// @ts-ignore: decorator
@inline
export function close(
  acc: v128,
  sum: v128,
  d: v128,
  m: v128,
  min: bool,
  xs: usize,
): v128 {
  acc = madd(
    f32x4.convert_i32x4_s(sum),
    f32x4.mul(d, v128.load32_splat(xs)),
    acc,
  );
  return min ? madd(m, v128.load32_splat(xs, 16), acc) : acc;
}

// @ts-ignore: decorator
@inline
export function less(sum: v128, off: i32, xi: usize): v128 {
  return off == 0
    ? sum
    : i32x4.sub(sum, i32x4.shl(v128.load32_splat(xi), off));
}

/**
 * One step of a signed 8-bit product. Where b's top bit is understood, codes go
 * in as they are (or offset by 128); else the sign moves to the activation.
 */
// @ts-ignore: decorator
@inline
export function step8(mode: i32, x: v128, w: v128, s: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (mode == QUADS_U8) {
      return i32x4.relaxed_dot_i8x16_i7x16_add_s(
        x,
        v128.xor(w, i8x16.splat(-128)),
        s,
      );
    }
    if (mode == QUADS_S8) {
      return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, s);
    }
  }
  const n = i8x16.lt_s(w, i8x16.splat(0));
  return i32x4.add(
    s,
    i32x4.extadd_pairwise_i16x8_s(
      pairs(i8x16.sub(v128.xor(x, n), n), i8x16.abs(w)),
    ),
  );
}

/** Codes of the low nibbles; `fifths` has each one's fifth bit in place. */
// @ts-ignore: decorator
@inline
export function lowCodes(
  bits: i32,
  v: v128,
  fifths: v128,
  low: v128,
  fifth: v128,
): v128 {
  const c = v128.and(v, low);
  return bits == 5 ? v128.or(c, v128.and(fifths, fifth)) : c;
}

/** Codes of the high nibbles. */
// @ts-ignore: decorator
@inline
export function highCodes(
  bits: i32,
  v: v128,
  fifths: v128,
  low: v128,
  fifth: v128,
): v128 {
  return lowCodes(bits, i16x8.shr_u(v, 4), fifths, low, fifth);
}
