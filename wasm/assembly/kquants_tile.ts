// Four rows times weights with a scale per 16 inputs: prompts and batches.
import { codes } from "./kquants_row";
import { LOW_NIBBLES, madd, PAIRS, step, widen } from "./lanes";
import { ADD, Product, put } from "./product";

/** Half a panel, four rows: each weight is unpacked once for all of them. */
// @ts-ignore: decorator
@inline
export function halfTile(
  bits: i32,
  mode: i32,
  min: bool,
  off: i32,
  a: Product,
  p: usize,
  half: usize,
  tile: usize,
): void {
  const nb = a.nb, scales: usize = bits == 6 ? 192 : 128;
  const size = scales + (min ? 32 : 16), whole = size * 8 + (min ? 64 : 32);
  const flush = bits == 6 && mode == PAIRS;
  const low = v128.load(LOW_NIBBLES), zero = i32x4.splat(0);
  let w = a.w + p * (nb >> 3) * whole;
  let x = a.xq + tile * nb * 128;
  let xf = a.xf + tile * nb * 32, x16 = a.x16 + tile * nb * 32;
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
  for (let b: usize = 0; b < nb; b += 8) {
    let i0 = f32x4.splat(0), i1 = i0, i2 = i0, i3 = i0;
    let m0 = i0, m1 = i0, m2 = i0, m3 = i0;
    for (const end = w + size * 8; w < end; w += size) {
      const q = w + (half << 6), pairs = w + 128 + (half << 5);
      const sc = w + scales + (half << 3);
      let s0 = zero, s1 = zero, s2 = zero, s3 = zero;
      let t0 = zero, t1 = zero, t2 = zero, t3 = zero;
      let h: v128, c: v128;
      h = bits == 6 ? v128.load(pairs) : low;
      c = codes(bits, false, 0, q, h, low);
      s0 = step(mode, v128.load32_splat(x), c, zero);
      s1 = step(mode, v128.load32_splat(x, 32), c, zero);
      s2 = step(mode, v128.load32_splat(x, 64), c, zero);
      s3 = step(mode, v128.load32_splat(x, 96), c, zero);
      c = codes(bits, false, 1, q, h, low);
      s0 = step(mode, v128.load32_splat(x, 4), c, s0);
      s1 = step(mode, v128.load32_splat(x, 36), c, s1);
      s2 = step(mode, v128.load32_splat(x, 68), c, s2);
      s3 = step(mode, v128.load32_splat(x, 100), c, s3);
      if (flush) {
        t0 = widen(mode, s0);
        s0 = zero;
        t1 = widen(mode, s1);
        s1 = zero;
        t2 = widen(mode, s2);
        s2 = zero;
        t3 = widen(mode, s3);
        s3 = zero;
      }
      c = codes(bits, false, 2, q, h, low);
      s0 = step(mode, v128.load32_splat(x, 8), c, s0);
      s1 = step(mode, v128.load32_splat(x, 40), c, s1);
      s2 = step(mode, v128.load32_splat(x, 72), c, s2);
      s3 = step(mode, v128.load32_splat(x, 104), c, s3);
      c = codes(bits, false, 3, q, h, low);
      s0 = step(mode, v128.load32_splat(x, 12), c, s0);
      s1 = step(mode, v128.load32_splat(x, 44), c, s1);
      s2 = step(mode, v128.load32_splat(x, 76), c, s2);
      s3 = step(mode, v128.load32_splat(x, 108), c, s3);
      if (flush) {
        s0 = i32x4.add(t0, widen(mode, s0));
        s1 = i32x4.add(t1, widen(mode, s1));
        s2 = i32x4.add(t2, widen(mode, s2));
        s3 = i32x4.add(t3, widen(mode, s3));
      } else {
        s0 = widen(mode, s0);
        s1 = widen(mode, s1);
        s2 = widen(mode, s2);
        s3 = widen(mode, s3);
      }
      let f = i16x8.extend_low_i8x16_s(v128.load64_zero(sc));
      let g = i32x4.extend_low_i16x8_s(f);
      const a0 = i32x4.mul(less(s0, off, x16, 0), g);
      const a1 = i32x4.mul(less(s1, off, x16, 4), g);
      const a2 = i32x4.mul(less(s2, off, x16, 8), g);
      const a3 = i32x4.mul(less(s3, off, x16, 12), g);
      h = bits == 6 ? v128.load(pairs, 16) : low;
      c = codes(bits, true, 0, q, h, low);
      s0 = step(mode, v128.load32_splat(x, 16), c, zero);
      s1 = step(mode, v128.load32_splat(x, 48), c, zero);
      s2 = step(mode, v128.load32_splat(x, 80), c, zero);
      s3 = step(mode, v128.load32_splat(x, 112), c, zero);
      c = codes(bits, true, 1, q, h, low);
      s0 = step(mode, v128.load32_splat(x, 20), c, s0);
      s1 = step(mode, v128.load32_splat(x, 52), c, s1);
      s2 = step(mode, v128.load32_splat(x, 84), c, s2);
      s3 = step(mode, v128.load32_splat(x, 116), c, s3);
      if (flush) {
        t0 = widen(mode, s0);
        s0 = zero;
        t1 = widen(mode, s1);
        s1 = zero;
        t2 = widen(mode, s2);
        s2 = zero;
        t3 = widen(mode, s3);
        s3 = zero;
      }
      c = codes(bits, true, 2, q, h, low);
      s0 = step(mode, v128.load32_splat(x, 24), c, s0);
      s1 = step(mode, v128.load32_splat(x, 56), c, s1);
      s2 = step(mode, v128.load32_splat(x, 88), c, s2);
      s3 = step(mode, v128.load32_splat(x, 120), c, s3);
      c = codes(bits, true, 3, q, h, low);
      s0 = step(mode, v128.load32_splat(x, 28), c, s0);
      s1 = step(mode, v128.load32_splat(x, 60), c, s1);
      s2 = step(mode, v128.load32_splat(x, 92), c, s2);
      s3 = step(mode, v128.load32_splat(x, 124), c, s3);
      if (flush) {
        s0 = i32x4.add(t0, widen(mode, s0));
        s1 = i32x4.add(t1, widen(mode, s1));
        s2 = i32x4.add(t2, widen(mode, s2));
        s3 = i32x4.add(t3, widen(mode, s3));
      } else {
        s0 = widen(mode, s0);
        s1 = widen(mode, s1);
        s2 = widen(mode, s2);
        s3 = widen(mode, s3);
      }
      g = i32x4.extend_high_i16x8_s(f);
      i0 = inner(i0, i32x4.add(a0, i32x4.mul(less(s0, off, x16 + 16, 0), g)), xf, 0);
      i1 = inner(i1, i32x4.add(a1, i32x4.mul(less(s1, off, x16 + 16, 4), g)), xf, 4);
      i2 = inner(i2, i32x4.add(a2, i32x4.mul(less(s2, off, x16 + 16, 8), g)), xf, 8);
      i3 = inner(i3, i32x4.add(a3, i32x4.mul(less(s3, off, x16 + 16, 12), g)), xf, 12);
      if (min) {
        f = i16x8.extend_low_i8x16_s(v128.load64_zero(sc, 16));
        g = i32x4.extend_low_i16x8_s(f);
        const k = i32x4.extend_high_i16x8_s(f);
        m0 = inner(m0, floor(x16, 0, g, k), xf, 0);
        m1 = inner(m1, floor(x16, 4, g, k), xf, 4);
        m2 = inner(m2, floor(x16, 8, g, k), xf, 8);
        m3 = inner(m3, floor(x16, 12, g, k), xf, 12);
      }
      x += 128;
      xf += 32;
      x16 += 32;
    }
    const d = v128.load(w + (half << 4));
    c0 = madd(d, i0, c0);
    c1 = madd(d, i1, c1);
    c2 = madd(d, i2, c2);
    c3 = madd(d, i3, c3);
    if (min) {
      const m = v128.load(w + (half << 4), 32);
      c0 = madd(m, m0, c0);
      c1 = madd(m, m1, c1);
      c2 = madd(m, m2, c2);
      c3 = madd(m, m3, c3);
    }
    w += min ? 64 : 32;
  }
  const add = (a.flags & ADD) != 0;
  let out = a.out + tile * 4 * a.stride + (p << 5) + (half << 4);
  put(add, out, c0);
  put(add, out += a.stride, c1);
  put(add, out += a.stride, c2);
  put(add, out + a.stride, c3);
}

/** Sums of codes less their offset, 2^off. */
// @ts-ignore: decorator
@inline
function less(s: v128, off: i32, x16: usize, row: usize): v128 {
  if (off == 0) return s;
  return i32x4.sub(s, i32x4.shl(v128.load32_splat(x16 + row), off));
}

/** Adds a block's integer sums, times the row's scale. */
// @ts-ignore: decorator
@inline
function inner(i: v128, sums: v128, xf: usize, row: usize): v128 {
  return madd(f32x4.convert_i32x4_s(sums), v128.load32_splat(xf + row), i);
}

/** What the minima of both groups take away. */
// @ts-ignore: decorator
@inline
function floor(x16: usize, row: usize, a: v128, b: v128): v128 {
  return i32x4.add(
    i32x4.mul(v128.load32_splat(x16 + row), a),
    i32x4.mul(v128.load32_splat(x16 + row, 16), b),
  );
}
