// One row times weights with a scale per 16 inputs: decoding.
import { LOW_NIBBLES, madd, PAIRS, step, widen } from "./lanes";
import { Product } from "./product";

/** Codes of vector `j` of a group; `h` has the group's upper pairs. */
// @ts-ignore: decorator
@inline
export function codes(
  bits: i32,
  high: bool,
  j: i32,
  w: usize,
  h: v128,
  low: v128,
): v128 {
  const v = v128.load(w + (<usize> j << 4));
  const c = v128.and(high ? i16x8.shr_u(v, 4) : v, low);
  if (bits == 4) return c;
  const top = j == 0
    ? i32x4.shl(h, 4)
    : j == 1
    ? i32x4.shl(h, 2)
    : j == 2
    ? h
    : i32x4.shr_u(h, 2);
  return v128.or(c, v128.and(top, i8x16.splat(0x30)));
}

/** Sums of one group with one row. */
// @ts-ignore: decorator
@inline
function group(
  bits: i32,
  mode: i32,
  high: bool,
  w: usize,
  pairs: usize,
  x: usize,
): v128 {
  const low = v128.load(LOW_NIBBLES);
  const h = bits == 6 ? v128.load(pairs + (high ? 16 : 0)) : low;
  let s = i32x4.splat(0);
  s = step(mode, v128.load32_splat(x), codes(bits, high, 0, w, h, low), s);
  s = step(mode, v128.load32_splat(x, 4), codes(bits, high, 1, w, h, low), s);
  // Pair sums of 6-bit codes reach 63·127·2 a step: widened after two.
  const flush = bits == 6 && mode == PAIRS;
  if (flush) s = widen(mode, s);
  let t = flush ? i32x4.splat(0) : s;
  t = step(mode, v128.load32_splat(x, 8), codes(bits, high, 2, w, h, low), t);
  t = step(mode, v128.load32_splat(x, 12), codes(bits, high, 3, w, h, low), t);
  return flush ? i32x4.add(s, widen(mode, t)) : widen(mode, t);
}

/** Half a panel, one row. */
// @ts-ignore: decorator
@inline
export function halfRow(
  bits: i32,
  mode: i32,
  min: bool,
  off: i32,
  a: Product,
  p: usize,
  half: usize,
  row: usize,
): v128 {
  const nb = a.nb, scales: usize = bits == 6 ? 192 : 128;
  const size = scales + (min ? 32 : 16), whole = size * 8 + (min ? 64 : 32);
  const tile = (row >> 2) * nb, lane = row & 3;
  let w = a.w + p * (nb >> 3) * whole;
  let x = a.xq + tile * 128 + lane * 32;
  let xf = a.xf + tile * 32 + lane * 4, x16 = a.x16 + tile * 32 + lane * 4;
  let acc = f32x4.splat(0);
  for (let b: usize = 0; b < nb; b += 8) {
    let inner = f32x4.splat(0), mins = inner;
    for (let i = 0; i < 8; i++) {
      const sa = v128.load32_splat(x16), sb = v128.load32_splat(x16, 16);
      const q = w + (half << 6), pairs = w + 128 + (half << 5);
      let ga = group(bits, mode, false, q, pairs, x);
      let gb = group(bits, mode, true, q, pairs, x + 16);
      if (off != 0) {
        ga = i32x4.sub(ga, i32x4.shl(sa, off));
        gb = i32x4.sub(gb, i32x4.shl(sb, off));
      }
      const sc = w + scales + (half << 3);
      const s = i16x8.extend_low_i8x16_s(v128.load64_zero(sc));
      const sum = i32x4.add(
        i32x4.mul(ga, i32x4.extend_low_i16x8_s(s)),
        i32x4.mul(gb, i32x4.extend_high_i16x8_s(s)),
      );
      const da = v128.load32_splat(xf);
      inner = madd(f32x4.convert_i32x4_s(sum), da, inner);
      if (min) {
        const m = i16x8.extend_low_i8x16_s(v128.load64_zero(sc, 16));
        const low = i32x4.add(
          i32x4.mul(sa, i32x4.extend_low_i16x8_s(m)),
          i32x4.mul(sb, i32x4.extend_high_i16x8_s(m)),
        );
        mins = madd(f32x4.convert_i32x4_s(low), da, mins);
      }
      w += size;
      x += 128;
      xf += 32;
      x16 += 32;
    }
    acc = madd(v128.load(w + (half << 4)), inner, acc);
    if (min) acc = madd(v128.load(w + (half << 4), 32), mins, acc);
    w += min ? 64 : 32;
  }
  return acc;
}
