// Four- and eight-lane helpers shared by all kernels.
//
// Kernels are pure functions over raw pointers: every worker instantiates this
// module over one shared memory, so nothing here may own memory (no `new`,
// strings, arrays, closures or mutable globals).

/** How eight-bit products are summed; chosen once per machine by `probe()`. */
// @ts-ignore: decorator
@inline export const PAIRS = 0; // i16 pair sums, widened once per block
// @ts-ignore: decorator
@inline export const QUADS_U8 = 2; // i32 sums, b is unsigned (vpdpbusd)
// @ts-ignore: decorator
@inline export const QUADS_S8 = 3; // i32 sums, b is signed (sdot)

// @ts-ignore: decorator
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/** i16 sums of neighbouring products; a is signed, b is 0..127. */
// @ts-ignore: decorator
@inline
export function pairs(a: v128, b: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    return i16x8.relaxed_dot_i8x16_i7x16_s(a, b);
  }
  const even = i16x8.mul(
    i16x8.shr_s(i16x8.shl(a, 8), 8),
    v128.and(b, i16x8.splat(0xff)),
  );
  return i16x8.add(even, i16x8.mul(i16x8.shr_s(a, 8), i16x8.shr_u(b, 8)));
}

/** Adds a·b to the running sums `s`, in whatever width `mode` keeps them. */
// @ts-ignore: decorator
@inline
export function step(mode: i32, a: v128, b: v128, s: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (mode != PAIRS) return i32x4.relaxed_dot_i8x16_i7x16_add_s(a, b, s);
  }
  return i16x8.add(s, pairs(a, b));
}

/** The four i32 row sums that `s` stands for. */
// @ts-ignore: decorator
@inline
export function widen(mode: i32, s: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (mode != PAIRS) return s;
  }
  return i32x4.extadd_pairwise_i16x8_s(s);
}

// Constants that loops use are loaded from the start of the memory, where
// wasm/constants.ts puts them: V8 makes a constant anew wherever it stands, which in
// the innermost loops cost a tenth of the time.
// @ts-ignore: decorator
@inline export const HALF_MASK: usize = 64;
// @ts-ignore: decorator
@inline export const LOW_NIBBLES: usize = 80;
// @ts-ignore: decorator
@inline export const FIFTH_BITS: usize = 96;
// @ts-ignore: decorator
@inline export const EXP_LEAST: usize = 112;
// @ts-ignore: decorator
@inline export const EXP_ROUND: usize = 128;
/** Coefficients of 2^r, highest degree first. */
// @ts-ignore: decorator
@inline export const EXP_TERMS: usize = 144;

/**
 * Four f16 to f32, less a factor of 2^112: the bits are only moved.
 *
 * ```text
 *  f16  s eeeee mmmmmmmmmm          sign-extended, shifted left by 13:
 *  f32  s 000eeeee mmmmmmmmmm 0…    exponent is e instead of e + 112
 * ```
 * The factor is folded into whatever the value is multiplied with. `mask` is what
 * stands at HALF_MASK.
 */
// @ts-ignore: decorator
@inline
export function halves(h: v128, mask: v128): v128 {
  return v128.and(i32x4.shl(h, 13), mask);
}

/** 2^112, the factor that `halves()` leaves out. */
// @ts-ignore: decorator
@inline export const HALF_SCALE: f32 = reinterpret<f32>(0x77800000);

/**
 * Quantised rows carry 2^72 of the factor in their scales, so that scale times sum
 * stays finite for values up to 2^40; the other 2^40 is multiplied to the result.
 */
// @ts-ignore: decorator
@inline export const ROW_SCALE: f32 = reinterpret<f32>(0x63800000);
// @ts-ignore: decorator
@inline export const REST_SCALE: f32 = reinterpret<f32>(0x53800000);

/** Four f16 at `p`, less a factor of 2^112. */
// @ts-ignore: decorator
@inline
export function loadHalves(p: usize, mask: v128): v128 {
  return halves(v128.load16x4_s(p), mask);
}

/** The first or second four of eight f16 at `p`, less a factor of 2^112. */
// @ts-ignore: decorator
@inline
export function spread8(p: usize, high: bool): v128 {
  return loadHalves(high ? p + 8 : p, v128.load(HALF_MASK));
}

/** Four bfloat16 at `p`, as f32. */
// @ts-ignore: decorator
@inline
export function loadBrains(p: usize): v128 {
  return i32x4.shl(i32x4.extend_low_i16x8_u(v128.load64_zero(p)), 16);
}

/** f16 bits to f32, exact for every code but infinities and NaN. */
// @ts-ignore: decorator
@inline
export function fromHalf(h: u32): f32 {
  const bits = ((h & 0x8000) << 16) | ((h & 0x7fff) << 13);
  return reinterpret<f32>(bits) * HALF_SCALE;
}

/**
 * f32 to f16 bits, round to nearest even. Subnormals become zero and what is
 * too large becomes 65504: a cache value is never an infinity.
 */
// @ts-ignore: decorator
@inline
export function toHalves(x: v128): v128 {
  const sign = v128.and(i32x4.shr_u(x, 16), i32x4.splat(0x8000));
  let a = v128.and(x, i32x4.splat(0x7fffffff));
  const small = i32x4.lt_s(a, i32x4.splat(0x38800000));
  a = i32x4.min_s(a, i32x4.splat(0x477fe000));
  const odd = v128.and(i32x4.shr_u(a, 13), i32x4.splat(1));
  const r = i32x4.shr_u(
    i32x4.add(a, i32x4.add(odd, i32x4.splat(0xfff - 0x38000000))),
    13,
  );
  return v128.or(v128.andnot(r, small), sign);
}

/** Sum of four lanes, always in the same order. */
// @ts-ignore: decorator
@inline
export function sum4(v: v128): f32 {
  const t = f32x4.add(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return f32x4.extract_lane(t, 0) + f32x4.extract_lane(t, 1);
}

/** Smallest of four lanes. */
// @ts-ignore: decorator
@inline
export function min4(v: v128): f32 {
  const t = f32x4.min(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return min(f32x4.extract_lane(t, 0), f32x4.extract_lane(t, 1));
}

/** Largest of four lanes. */
// @ts-ignore: decorator
@inline
export function max4(v: v128): f32 {
  const t = f32x4.max(v, v128.shuffle<i32>(v, v, 2, 3, 0, 1));
  return max(f32x4.extract_lane(t, 0), f32x4.extract_lane(t, 1));
}

/**
 * 2^x of four values up to 0, relative error about 2e-7; exactly 0 below -125.
 *
 * Adding 1.5·2^23 rounds x to a whole number n, which then stands in the low bits
 * of the sum; the rest r = x - n goes through a polynomial of degree 5, and n is
 * added to the exponent field. The constants are those at EXP_LEAST and beyond,
 * loaded by the caller before its loop.
 */
// @ts-ignore: decorator
@inline
export function exp2of(
  x: v128,
  least: v128,
  round: v128,
  c5: v128,
  c4: v128,
  c3: v128,
  c2: v128,
  c1: v128,
  c0: v128,
): v128 {
  const low = f32x4.lt(x, least);
  // One instruction, where max() takes eight; NaN stays NaN.
  x = f32x4.pmax(x, least);
  const t = f32x4.add(x, round);
  const r = f32x4.sub(x, f32x4.sub(t, round));
  let p = madd(c5, r, c4);
  p = madd(p, r, c3);
  p = madd(p, r, c2);
  p = madd(p, r, c1);
  p = madd(p, r, c0);
  return v128.andnot(i32x4.add(p, i32x4.shl(t, 23)), low);
}

/** 2^x of one value, by the same arithmetic as four. */
// @ts-ignore: decorator
@inline
export function exp2one(x: f32): f32 {
  return f32x4.extract_lane(
    exp2of(
      f32x4.splat(x),
      v128.load(EXP_LEAST),
      v128.load(EXP_ROUND),
      v128.load(EXP_TERMS),
      v128.load(EXP_TERMS, 16),
      v128.load(EXP_TERMS, 32),
      v128.load(EXP_TERMS, 48),
      v128.load(EXP_TERMS, 64),
      v128.load(EXP_TERMS, 80),
    ),
    0,
  );
}
