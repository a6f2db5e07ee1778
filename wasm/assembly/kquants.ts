// Matrix times quantised rows, for weights with a scale per 16 inputs: Q2_K,
// Q3_K (codes in four bits) and Q6_K.
//
// A block is 32 inputs of a panel of eight outputs (two halves of four); eight blocks
// and the scales of their 256 inputs follow one another:
//
// ```text
//  { codes [2 halves] 64 B, [pairs [2 halves] 32 B], sc [2] 8 B, [mins [2] 8 B] } × 8,
//  d f32 [8], [m f32 [8], already negative]
//
//  codes   as in quants.ts: low nibbles are group A (inputs 0..15), high nibbles
//          group B (16..31)
//  pairs   upper two bits of 6: 16 B for A and 16 B for B; in byte i of output r,
//          bits 2j and 2j+1 belong to vector j
//  sc      int8 A [4 outputs], B [4 outputs]
//
//  x16     i32 sums of the codes of A [4 rows], B [4 rows] a block and tile
// ```
// Codes times group scales are added up as integers, so a float enters once a block.
import { madd, PAIRS, QUADS_U8, step, widen } from "./lanes";
import { ADD, Product, put } from "./quants";

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
  const low = i8x16.splat(15), top = i8x16.splat(0x30);
  const h = bits == 6 ? v128.load(pairs + (high ? 16 : 0)) : low;
  let s = i32x4.splat(0), t = s;
  let v = v128.load(w);
  let c = v128.and(high ? i16x8.shr_u(v, 4) : v, low);
  if (bits == 6) c = v128.or(c, v128.and(i32x4.shl(h, 4), top));
  s = step(mode, v128.load32_splat(x), c, s);
  v = v128.load(w, 16);
  c = v128.and(high ? i16x8.shr_u(v, 4) : v, low);
  if (bits == 6) c = v128.or(c, v128.and(i32x4.shl(h, 2), top));
  s = step(mode, v128.load32_splat(x, 4), c, s);
  // Pair sums of 6-bit codes reach 63·127·2 a step: widened after two.
  const flush = bits == 6 && mode == PAIRS;
  if (flush) s = widen(mode, s);
  else t = s;
  v = v128.load(w, 32);
  c = v128.and(high ? i16x8.shr_u(v, 4) : v, low);
  if (bits == 6) c = v128.or(c, v128.and(h, top));
  t = step(mode, v128.load32_splat(x, 8), c, t);
  v = v128.load(w, 48);
  c = v128.and(high ? i16x8.shr_u(v, 4) : v, low);
  if (bits == 6) c = v128.or(c, v128.and(i32x4.shr_u(h, 2), top));
  t = step(mode, v128.load32_splat(x, 12), c, t);
  return flush ? i32x4.add(s, widen(mode, t)) : widen(mode, t);
}

/** Half a panel, one row. */
// @ts-ignore: decorator
@inline
function halfRow(
  bits: i32,
  mode: i32,
  min: bool,
  off: i32,
  a: Product,
  p: usize,
  half: usize,
  row: usize,
): v128 {
  const nb = a.nb, codes: usize = bits == 6 ? 192 : 128;
  const size = codes + (min ? 32 : 16), whole = size * 8 + (min ? 64 : 32);
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
      const sc = w + codes + (half << 3);
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

// @ts-ignore: decorator
@inline
function product(
  bits: i32,
  mode: i32,
  min: bool,
  off: i32,
  a: Product,
  from: i32,
  to: i32,
): void {
  const rows = load<i32>(a.rows), add = (a.flags & ADD) != 0;
  for (let p = from; p < to; p++) {
    let out = a.out + (<usize> p << 5);
    for (let r = 0; r < rows; r++) {
      put(add, out, halfRow(bits, mode, min, off, a, p, 0, r));
      put(add, out + 16, halfRow(bits, mode, min, off, a, p, 1, r));
      out += a.stride;
    }
  }
}

export function q2k(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, true, 0, a, from, to);
  else product(4, QUADS_U8, true, 0, a, from, to);
}
export function q3k(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, false, 2, a, from, to);
  else product(4, QUADS_U8, false, 2, a, from, to);
}
export function q6k(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(6, PAIRS, false, 5, a, from, to);
  else product(6, QUADS_U8, false, 5, a, from, to);
}
