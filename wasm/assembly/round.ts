// From f32 rows to rows as a file of Q8_0 or Q4_0 holds them, bit for bit what
// models/quantise.ts defines: all arithmetic is that of f32, in its order.
import { Repack } from "./repack";

/** Values kept as floats, to f32: GGUF types 0, 1 and 30. */
export function expandFloats(a: Repack, type: i32): void {
  const n = a.n;
  for (let r = 0; r < a.rows; r++) {
    const p = a.src + <usize> r * a.rowBytes;
    const to = a.w + <usize> r * n * 4;
    if (type == 0) {
      memory.copy(to, p, n << 2);
      continue;
    }
    let k: usize = 0;
    for (; k + 4 <= n; k += 4) {
      v128.store(to + (k << 2), floats(v128.load16x4_u(p + (k << 1)), type));
    }
    for (; k < n; k++) {
      const h = i32x4.splat(load<u16>(p + (k << 1)));
      store<f32>(to + (k << 2), f32x4.extract_lane(floats(h, type), 0));
    }
  }
}

/** Four f16 or bfloat16 to f32, infinities and NaN too. */
// @ts-ignore: decorator
@inline
function floats(h: v128, type: i32): v128 {
  if (type == 30) return i32x4.shl(h, 16);
  const sign = i32x4.shl(v128.and(h, i32x4.splat(0x8000)), 16);
  const rest = i32x4.shl(v128.and(h, i32x4.splat(0x7fff)), 13);
  // The exponent lacks 112; a product by 2^112 is exact, for subnormals too.
  const finite = f32x4.mul(rest, i32x4.splat(0x77800000));
  const most = v128.or(rest, i32x4.splat(0x70000000));
  const none = i32x4.ge_s(rest, i32x4.splat(0x7c00 << 13));
  return v128.or(sign, v128.bitselect(most, finite, none));
}

/** The largest of a block's values without their signs; NaN where one is. */
// @ts-ignore: decorator
@inline
function largest(p: usize): f32 {
  let top = f32x4.abs(v128.load(p));
  for (let i: usize = 16; i < 128; i += 16) {
    top = f32x4.max(top, f32x4.abs(v128.load(p + i)));
  }
  top = f32x4.max(top, v128.shuffle<i32>(top, top, 2, 3, 0, 1));
  return max(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1));
}

/** The first of a block's values that have this size. */
// @ts-ignore: decorator
@inline
function firstOf(p: usize, size: f32): f32 {
  // Of zeros it does not matter which.
  if (size == 0) return 0;
  const all = f32x4.splat(size);
  for (let i: usize = 0; i < 128; i += 16) {
    const found = f32x4.eq(f32x4.abs(v128.load(p + i)), all);
    if (!v128.any_true(found)) continue;
    return load<f32>(p + i + (<usize> ctz(i32x4.bitmask(found)) << 2));
  }
  return size;
}

/** Whether there is an f16 for a scale; not for NaN. */
// @ts-ignore: decorator
@inline
function fits(d: f32): bool {
  return abs(d) < 65520;
}

/** 1 / d, or 0 where d is 0 or has no inverse. */
// @ts-ignore: decorator
@inline
function inverseOf(d: f32): f32 {
  return abs(d) < reinterpret<f32>(0x00800000) ? 0 : 1 / d;
}

/** f32 to the bits of the nearest f16, halves to even; |x| < 65520. */
function toHalf(x: f32): u32 {
  const bits = reinterpret<u32>(x), sign = (bits >> 16) & 0x8000;
  const a = bits & 0x7fffffff;
  if (a >= 0x38800000) {
    return sign | ((a - 0x38000000 + 0xfff + ((a >> 13) & 1)) >> 13);
  }
  // Subnormal: whole multiples of 2^-24.
  return sign | <u32> nearest(abs(x) * reinterpret<f32>(0x4b800000));
}

/** Q8_0: { d, 32 codes }. False where a scale has no f16. */
export function round8(a: Repack): bool {
  let to = a.w;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    for (const end = p + (a.n << 2); p < end; p += 128, to += 34) {
      const d = largest(p) / 127;
      if (!fits(d)) return false;
      store<u16>(to, <u16> toHalf(d));
      const inverse = f32x4.splat(inverseOf(d));
      for (let i: usize = 0; i < 128; i += 64) {
        const low = i16x8.narrow_i32x4_s(
          codes8(p + i, inverse),
          codes8(p + i + 16, inverse),
        );
        const high = i16x8.narrow_i32x4_s(
          codes8(p + i + 32, inverse),
          codes8(p + i + 48, inverse),
        );
        v128.store(to + 2 + (i >> 2), i8x16.narrow_i16x8_s(low, high));
      }
    }
  }
  return true;
}

/** Halves round away from 0; rounding of the product may exceed 127. */
// @ts-ignore: decorator
@inline
function codes8(p: usize, inverse: v128): v128 {
  const v = f32x4.mul(v128.load(p), inverse), size = f32x4.abs(v);
  const low = f32x4.floor(size), half = f32x4.splat(0.5);
  const up = f32x4.ge(f32x4.sub(size, low), half);
  const code = i32x4.min_s(
    i32x4.sub(i32x4.trunc_sat_f32x4_s(low), up),
    i32x4.splat(127),
  );
  const negative = i32x4.shr_s(v, 31);
  return i32x4.sub(v128.xor(code, negative), negative);
}

/** Q4_0: { d, 16 bytes of codes i (low) and 16 + i }. See `round8()`. */
export function round4(a: Repack): bool {
  let to = a.w;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    for (const end = p + (a.n << 2); p < end; p += 128, to += 18) {
      const d = firstOf(p, largest(p)) / -8;
      if (!fits(d)) return false;
      store<u16>(to, <u16> toHalf(d));
      const inverse = f32x4.splat(inverseOf(d));
      v128.store(
        to + 2,
        v128.or(
          sixteen(p, inverse),
          i16x8.shl(sixteen(p + 64, inverse), 4),
        ),
      );
    }
  }
  return true;
}

/** Sixteen codes of 4 bits, a byte each. */
// @ts-ignore: decorator
@inline
function sixteen(p: usize, inverse: v128): v128 {
  return i8x16.narrow_i16x8_s(
    i16x8.narrow_i32x4_s(codes4(p, inverse), codes4(p + 16, inverse)),
    i16x8.narrow_i32x4_s(codes4(p + 32, inverse), codes4(p + 48, inverse)),
  );
}

// @ts-ignore: decorator
@inline
function codes4(p: usize, inverse: v128): v128 {
  const v = f32x4.mul(v128.load(p), inverse);
  const code = i32x4.trunc_sat_f32x4_s(f32x4.add(v, f32x4.splat(8.5)));
  return i32x4.min_s(code, i32x4.splat(15));
}
