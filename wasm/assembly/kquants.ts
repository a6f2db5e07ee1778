// Matrix times quantised rows, for weights with a scale per 16 inputs: Q2_K,
// Q3_K (codes in four bits) and Q6_K.
//
// ```text
//  4 bits  64 B a block, as in quants.ts: low nibbles are group A (inputs 0..15),
//          high nibbles group B (16..31)
//  6 bits  96 B: as 4 bits, then 16 B for A and 16 B for B of upper bit pairs: in
//          byte i of output r, bits 2j and 2j+1 belong to vector j
//  sc      8 B a block: int8 A [4 outputs], B [4 outputs]; then, with minima, 8 B more
//  d, m    f32 [4 outputs] per 256 inputs, m already negative
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
  x: usize,
): v128 {
  const low = i8x16.splat(15), top = i8x16.splat(0x30);
  const h = bits == 6 ? v128.load(high ? w + 80 : w + 64) : low;
  let s = i32x4.splat(0), t = s;
  let v = v128.load(w);
  let c = v128.and(high ? i16x8.shr_u(v, 4) : v, low);
  if (bits == 6) c = v128.or(c, v128.and(i32x4.shl(h, 4), top));
  s = step(mode, v128.load32_splat(x), c, s);
  v = v128.load(w, 16);
  c = v128.and(high ? i16x8.shr_u(v, 4) : v, low);
  if (bits == 6) c = v128.or(c, v128.and(i32x4.shl(h, 2), top));
  s = step(mode, v128.load32_splat(x, 4), c, s);
  if (bits == 6) s = widen(mode, s);
  const flush = bits == 6 && mode == PAIRS;
  if (!flush) t = s;
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

/** One panel, one row. */
// @ts-ignore: decorator
@inline
function panelRow(
  bits: i32,
  mode: i32,
  min: bool,
  off: i32,
  a: Product,
  p: usize,
  row: usize,
): v128 {
  const nb = a.nb, size: usize = bits == 6 ? 96 : 64;
  const tile = (row >> 2) * nb, lane = row & 3, scales: usize = min ? 16 : 8;
  let w = a.w + p * nb * size, sc = a.sc + p * nb * scales;
  let x = a.xq + tile * 128 + lane * 32;
  let xf = a.xf + tile * 32 + lane * 4, x16 = a.x16 + tile * 32 + lane * 4;
  let acc = f32x4.splat(0);
  for (let b: usize = 0; b < nb; b += 8) {
    let inner = f32x4.splat(0), mins = inner;
    for (let i = 0; i < 8; i++) {
      const sa = v128.load32_splat(x16), sb = v128.load32_splat(x16, 16);
      let ga = group(bits, mode, false, w, x);
      let gb = group(bits, mode, true, w, x + 16);
      if (off != 0) {
        ga = i32x4.sub(ga, i32x4.shl(sa, off));
        gb = i32x4.sub(gb, i32x4.shl(sb, off));
      }
      const q = i16x8.extend_low_i8x16_s(v128.load64_zero(sc));
      const sum = i32x4.add(
        i32x4.mul(ga, i32x4.extend_low_i16x8_s(q)),
        i32x4.mul(gb, i32x4.extend_high_i16x8_s(q)),
      );
      const da = v128.load32_splat(xf);
      inner = madd(f32x4.convert_i32x4_s(sum), da, inner);
      if (min) {
        const m = i16x8.extend_low_i8x16_s(v128.load64_zero(sc, 8));
        const low = i32x4.add(
          i32x4.mul(sa, i32x4.extend_low_i16x8_s(m)),
          i32x4.mul(sb, i32x4.extend_high_i16x8_s(m)),
        );
        mins = madd(f32x4.convert_i32x4_s(low), da, mins);
      }
      w += size;
      sc += scales;
      x += 128;
      xf += 32;
      x16 += 32;
    }
    const i = (p * (nb >> 3) + (b >> 3)) << 4;
    acc = madd(v128.load(a.d + i), inner, acc);
    if (min) acc = madd(v128.load(a.m + i), mins, acc);
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
    for (let r = 0; r < rows; r++) {
      put(
        add,
        a.out + <usize> r * a.stride + (<usize> p << 4),
        panelRow(bits, mode, min, off, a, p, r),
      );
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
