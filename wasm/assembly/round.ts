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
    for (let k: usize = 0; k < n; k++) {
      const h = <u32> load<u16>(p + (k << 1));
      store<f32>(to + (k << 2), type == 30 ? reinterpret<f32>(h << 16) : half(h));
    }
  }
}

/** f16 bits to f32, infinities and NaN too. */
// @ts-ignore: decorator
@inline
function half(h: u32): f32 {
  const sign = (h & 0x8000) << 16, rest = (h & 0x7fff) << 13;
  if (rest >= 0x7c00 << 13) return reinterpret<f32>(sign | 0x70000000 | rest);
  // The exponent lacks 112; a product by 2^112 is exact, for subnormals too.
  return reinterpret<f32>(sign | rest) * reinterpret<f32>(0x77800000);
}

/** The first of a block's values that are farthest from 0; NaN where one is. */
// @ts-ignore: decorator
@inline
function farthest(p: usize): f32 {
  let most: f32 = 0, size: f32 = 0;
  for (let i: usize = 0; i < 128; i += 4) {
    const v = load<f32>(p + i), s = abs(v);
    if (s > size) {
      most = v;
      size = s;
    } else if (v != v) return v;
  }
  return most;
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
      const d = abs(farthest(p)) / 127;
      if (!fits(d)) return false;
      store<u16>(to, <u16> toHalf(d));
      const inverse = inverseOf(d);
      for (let i: usize = 0; i < 32; i++) {
        const v = load<f32>(p + (i << 2)) * inverse;
        const size = abs(v), low = floor(size);
        // Halves round away from 0; rounding of the product may exceed 127.
        const code = min<i32>(127, <i32> low + (size - low >= 0.5 ? 1 : 0));
        store<u8>(to + 2 + i, <u8> (v < 0 ? -code : code));
      }
    }
  }
  return true;
}

/** Q4_0: { d, 16 bytes of codes i (low) and 16 + i }. See `round8()`. */
export function round4(a: Repack): bool {
  let to = a.w;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    for (const end = p + (a.n << 2); p < end; p += 128, to += 18) {
      const d = farthest(p) / -8;
      if (!fits(d)) return false;
      store<u16>(to, <u16> toHalf(d));
      const inverse = inverseOf(d);
      for (let i: usize = 0; i < 16; i++) {
        const low = code4(p + (i << 2), inverse);
        store<u8>(to + 2 + i, <u8> (low | (code4(p + 64 + (i << 2), inverse) << 4)));
      }
    }
  }
  return true;
}

// @ts-ignore: decorator
@inline
function code4(p: usize, inverse: f32): i32 {
  return min<i32>(15, <i32> (load<f32>(p) * inverse + <f32> 8.5));
}
