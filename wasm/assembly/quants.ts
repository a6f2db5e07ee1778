// Matrix times quantised rows, for weights of 4, 5 and 8 bits with a scale per
// block of 32 inputs.
//
// Weights lie in panels of eight outputs, two halves of four, so that a lane of an
// accumulator is an output and no sum ever crosses lanes. A block is 32 inputs of
// one panel; blocks follow one another, so that a matrix is read as one stream:
//
// ```text
//  4 bits  { codes [2 halves] 64 B,                     d [8], m [8] }
//  5 bits  { codes [2 halves] 64 B, fifths [2] 16 B,    d [8], m [8] }
//  8 bits  { codes [2 halves] 128 B,                    d [8] }
//
//  codes of 4 bits   vector j (0..3), bytes 4r..4r+3: output r; low nibbles are
//                    inputs 4j..4j+3, high nibbles inputs 16+4j..16+4j+3
//  fifths            in byte i of output r, bit j belongs to input 4j+i and bit
//                    4+j to input 16+4j+i
//  codes of 8 bits   vector j (0..7), bytes 4r..4r+3: inputs 4j..4j+3 of output r
// ```
// Scales d and minima m are f16 where the file's are f16 and else f32.
//
// Rows of activations lie in tiles of four, so that one pointer serves a tile:
//
// ```text
//  codes  xq  [tile][block][4 rows][32]  int8
//  sums   xi  [tile][block][4 rows]      i32 sum of the codes
//  scales xs  [tile][block]{ scale·2^72 [4], scale·2^72·sum [4] }  f32
//  plain  xf  the same without 2^72, for weights whose scales are f32
// ```
//
// Every output adds its blocks in the same order, whatever the tile: a row's
// result does not depend on the rows beside it.
import {
  FIFTH_BITS,
  HALF_MASK,
  loadHalves,
  LOW_NIBBLES,
  madd,
  PAIRS,
  pairs,
  QUADS_S8,
  QUADS_U8,
  REST_SCALE,
  step,
  widen,
} from "./lanes";

/** Where one matrix multiplication reads and writes; a record of the step program. */
@unmanaged
export class Product {
  kind: i32;
  flags: i32;
  w: usize;
  xq: usize;
  xs: usize;
  xf: usize;
  xi: usize;
  x16: usize;
  out: usize;
  /** Bytes from one row of the result to the next. */
  stride: usize;
  /** Blocks of 32 inputs (floats: inputs). */
  nb: usize;
  panels: i32;
  /** Address of the number of rows. */
  rows: usize;
}

/** The result is added to what is there. */
// @ts-ignore: decorator
@inline export const ADD = 2;

/** Where the scales stand in a block. */
// @ts-ignore: decorator
@inline
function scalesAt(bits: i32): usize {
  return bits == 4 ? 128 : bits == 5 ? 160 : 256;
}

/** Bytes of a block. */
// @ts-ignore: decorator
@inline
function blockBytes(bits: i32, half: bool, min: bool): usize {
  return scalesAt(bits) + (half ? 16 : 32) * (min ? 2 : 1);
}

/** Four scales, of the low or high half of a panel, at `p`. */
// @ts-ignore: decorator
@inline
function scale(half: bool, p: usize, high: usize, mask: v128): v128 {
  return half ? loadHalves(p + (high << 3), mask) : v128.load(p + (high << 4));
}

// @ts-ignore: decorator
@inline
export function put(add: bool, p: usize, v: v128): void {
  v128.store(p, add ? f32x4.add(v128.load(p), v) : v);
}

/** A result with the rest of the factor that f16 scales lack. */
// @ts-ignore: decorator
@inline
function whole(half: bool, v: v128): v128 {
  return half ? f32x4.mul(v, f32x4.splat(REST_SCALE)) : v;
}

// @ts-ignore: decorator
@inline
function close(
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
function less(sum: v128, off: i32, xi: usize): v128 {
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
function step8(mode: i32, x: v128, w: v128, s: v128): v128 {
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
function lowCodes(
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
function highCodes(
  bits: i32,
  v: v128,
  fifths: v128,
  low: v128,
  fifth: v128,
): v128 {
  return lowCodes(bits, i16x8.shr_u(v, 4), fifths, low, fifth);
}

/** One row: the two halves of a panel are two independent chains of sums. */
// @ts-ignore: decorator
@inline
function oneRow(
  bits: i32,
  mode: i32,
  half: bool,
  min: bool,
  off: i32,
  a: Product,
  row: usize,
  from: i32,
  to: i32,
): void {
  const nb = a.nb, add = (a.flags & ADD) != 0;
  const size = blockBytes(bits, half, min);
  const mask = v128.load(HALF_MASK), low = v128.load(LOW_NIBBLES);
  const fifth = v128.load(FIFTH_BITS);
  const tile = (row >> 2) * nb, lane = row & 3;
  const scales = half ? a.xs : a.xf;
  let out = a.out + row * a.stride + (<usize> from << 5);
  let w = a.w + <usize> from * nb * size;
  for (let p = from; p < to; p++) {
    let c0 = f32x4.splat(0), c1 = c0;
    let x = a.xq + tile * 128 + lane * 32;
    let xs = scales + tile * 32 + lane * 4, xi = a.xi + tile * 16 + lane * 4;
    for (const end = w + nb * size; w < end; w += size) {
      let s0 = i32x4.splat(0), s1 = s0;
      if (bits == 8) {
        let y = v128.load32_splat(x);
        s0 = step8(mode, y, v128.load(w), s0);
        s1 = step8(mode, y, v128.load(w, 128), s1);
        y = v128.load32_splat(x, 4);
        s0 = step8(mode, y, v128.load(w, 16), s0);
        s1 = step8(mode, y, v128.load(w, 144), s1);
        y = v128.load32_splat(x, 8);
        s0 = step8(mode, y, v128.load(w, 32), s0);
        s1 = step8(mode, y, v128.load(w, 160), s1);
        y = v128.load32_splat(x, 12);
        s0 = step8(mode, y, v128.load(w, 48), s0);
        s1 = step8(mode, y, v128.load(w, 176), s1);
        y = v128.load32_splat(x, 16);
        s0 = step8(mode, y, v128.load(w, 64), s0);
        s1 = step8(mode, y, v128.load(w, 192), s1);
        y = v128.load32_splat(x, 20);
        s0 = step8(mode, y, v128.load(w, 80), s0);
        s1 = step8(mode, y, v128.load(w, 208), s1);
        y = v128.load32_splat(x, 24);
        s0 = step8(mode, y, v128.load(w, 96), s0);
        s1 = step8(mode, y, v128.load(w, 224), s1);
        y = v128.load32_splat(x, 28);
        s0 = step8(mode, y, v128.load(w, 112), s0);
        s1 = step8(mode, y, v128.load(w, 240), s1);
      } else {
        const h = bits == 5 ? v128.load(w, 128) : s0;
        const g = bits == 5 ? v128.load(w, 144) : s0;
        let y = v128.load32_splat(x), z = v128.load32_splat(x, 16);
        let u = v128.load(w), v = v128.load(w, 64);
        s0 = step(mode, y, lowCodes(bits, u, i32x4.shl(h, 4), low, fifth), s0);
        s1 = step(mode, y, lowCodes(bits, v, i32x4.shl(g, 4), low, fifth), s1);
        s0 = step(mode, z, highCodes(bits, u, h, low, fifth), s0);
        s1 = step(mode, z, highCodes(bits, v, g, low, fifth), s1);
        y = v128.load32_splat(x, 4);
        z = v128.load32_splat(x, 20);
        u = v128.load(w, 16);
        v = v128.load(w, 80);
        s0 = step(mode, y, lowCodes(bits, u, i32x4.shl(h, 3), low, fifth), s0);
        s1 = step(mode, y, lowCodes(bits, v, i32x4.shl(g, 3), low, fifth), s1);
        s0 = step(mode, z, highCodes(bits, u, i32x4.shr_u(h, 1), low, fifth), s0);
        s1 = step(mode, z, highCodes(bits, v, i32x4.shr_u(g, 1), low, fifth), s1);
        // Pair sums of 5-bit codes reach 31·127·2 a step: widened after four.
        const flush = bits == 5 && mode == PAIRS;
        const t0 = flush ? widen(mode, s0) : s0;
        const t1 = flush ? widen(mode, s1) : s1;
        if (flush) s0 = s1 = i32x4.splat(0);
        y = v128.load32_splat(x, 8);
        z = v128.load32_splat(x, 24);
        u = v128.load(w, 32);
        v = v128.load(w, 96);
        s0 = step(mode, y, lowCodes(bits, u, i32x4.shl(h, 2), low, fifth), s0);
        s1 = step(mode, y, lowCodes(bits, v, i32x4.shl(g, 2), low, fifth), s1);
        s0 = step(mode, z, highCodes(bits, u, i32x4.shr_u(h, 2), low, fifth), s0);
        s1 = step(mode, z, highCodes(bits, v, i32x4.shr_u(g, 2), low, fifth), s1);
        y = v128.load32_splat(x, 12);
        z = v128.load32_splat(x, 28);
        u = v128.load(w, 48);
        v = v128.load(w, 112);
        s0 = step(mode, y, lowCodes(bits, u, i32x4.shl(h, 1), low, fifth), s0);
        s1 = step(mode, y, lowCodes(bits, v, i32x4.shl(g, 1), low, fifth), s1);
        s0 = step(mode, z, highCodes(bits, u, i32x4.shr_u(h, 3), low, fifth), s0);
        s1 = step(mode, z, highCodes(bits, v, i32x4.shr_u(g, 3), low, fifth), s1);
        s0 = widen(mode, s0);
        s1 = widen(mode, s1);
        if (flush) {
          s0 = i32x4.add(s0, t0);
          s1 = i32x4.add(s1, t1);
        }
      }
      x += 128;
      const d = w + scalesAt(bits), m = d + (half ? 16 : 32);
      s0 = less(s0, off, xi);
      s1 = less(s1, off, xi);
      c0 = close(c0, s0, scale(half, d, 0, mask), min ? scale(half, m, 0, mask) : c0, min, xs);
      c1 = close(c1, s1, scale(half, d, 1, mask), min ? scale(half, m, 1, mask) : c1, min, xs);
      xs += 32;
      xi += 16;
    }
    put(add, out, whole(half, c0));
    put(add, out + 16, whole(half, c1));
    out += 32;
  }
}

/** Four rows and half a panel at once: each weight is unpacked once for all four. */
// @ts-ignore: decorator
@inline
function fourRows(
  bits: i32,
  mode: i32,
  half: bool,
  min: bool,
  off: i32,
  a: Product,
  tile: usize,
  panel: usize,
  high: usize,
): void {
  const nb = a.nb, size = blockBytes(bits, half, min);
  const codes: usize = bits == 8 ? 128 : 64;
  const mask = v128.load(HALF_MASK), low = v128.load(LOW_NIBBLES);
  const fifth = v128.load(FIFTH_BITS);
  let w = a.w + panel * nb * size;
  let x = a.xq + tile * nb * 128;
  let xs = (half ? a.xs : a.xf) + tile * nb * 32, xi = a.xi + tile * nb * 16;
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
  for (const end = w + nb * size; w < end; w += size) {
    let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let q = w + high * codes;
    if (bits == 8) {
      for (const stop = q + 128; q < stop; q += 16, x += 4) {
        const v = v128.load(q);
        s0 = step8(mode, v128.load32_splat(x), v, s0);
        s1 = step8(mode, v128.load32_splat(x, 32), v, s1);
        s2 = step8(mode, v128.load32_splat(x, 64), v, s2);
        s3 = step8(mode, v128.load32_splat(x, 96), v, s3);
      }
      x += 96;
    } else if (bits == 4) {
      let v = v128.load(q);
      let lo = lowCodes(4, v, v, low, fifth), hi = highCodes(4, v, v, low, fifth);
      s0 = step(mode, v128.load32_splat(x), lo, s0);
      s1 = step(mode, v128.load32_splat(x, 32), lo, s1);
      s2 = step(mode, v128.load32_splat(x, 64), lo, s2);
      s3 = step(mode, v128.load32_splat(x, 96), lo, s3);
      s0 = step(mode, v128.load32_splat(x, 16), hi, s0);
      s1 = step(mode, v128.load32_splat(x, 48), hi, s1);
      s2 = step(mode, v128.load32_splat(x, 80), hi, s2);
      s3 = step(mode, v128.load32_splat(x, 112), hi, s3);
      v = v128.load(q, 16);
      lo = lowCodes(4, v, v, low, fifth);
      hi = highCodes(4, v, v, low, fifth);
      s0 = step(mode, v128.load32_splat(x, 4), lo, s0);
      s1 = step(mode, v128.load32_splat(x, 36), lo, s1);
      s2 = step(mode, v128.load32_splat(x, 68), lo, s2);
      s3 = step(mode, v128.load32_splat(x, 100), lo, s3);
      s0 = step(mode, v128.load32_splat(x, 20), hi, s0);
      s1 = step(mode, v128.load32_splat(x, 52), hi, s1);
      s2 = step(mode, v128.load32_splat(x, 84), hi, s2);
      s3 = step(mode, v128.load32_splat(x, 116), hi, s3);
      v = v128.load(q, 32);
      lo = lowCodes(4, v, v, low, fifth);
      hi = highCodes(4, v, v, low, fifth);
      s0 = step(mode, v128.load32_splat(x, 8), lo, s0);
      s1 = step(mode, v128.load32_splat(x, 40), lo, s1);
      s2 = step(mode, v128.load32_splat(x, 72), lo, s2);
      s3 = step(mode, v128.load32_splat(x, 104), lo, s3);
      s0 = step(mode, v128.load32_splat(x, 24), hi, s0);
      s1 = step(mode, v128.load32_splat(x, 56), hi, s1);
      s2 = step(mode, v128.load32_splat(x, 88), hi, s2);
      s3 = step(mode, v128.load32_splat(x, 120), hi, s3);
      v = v128.load(q, 48);
      lo = lowCodes(4, v, v, low, fifth);
      hi = highCodes(4, v, v, low, fifth);
      s0 = step(mode, v128.load32_splat(x, 12), lo, s0);
      s1 = step(mode, v128.load32_splat(x, 44), lo, s1);
      s2 = step(mode, v128.load32_splat(x, 76), lo, s2);
      s3 = step(mode, v128.load32_splat(x, 108), lo, s3);
      s0 = step(mode, v128.load32_splat(x, 28), hi, s0);
      s1 = step(mode, v128.load32_splat(x, 60), hi, s1);
      s2 = step(mode, v128.load32_splat(x, 92), hi, s2);
      s3 = step(mode, v128.load32_splat(x, 124), hi, s3);
      x += 128;
      s0 = widen(mode, s0);
      s1 = widen(mode, s1);
      s2 = widen(mode, s2);
      s3 = widen(mode, s3);
    } else {
      let h = v128.load(w + (high << 4), 128), g = i32x4.shl(h, 4);
      for (const stop = q + 64; q < stop; q += 32, x += 8) {
        let v = v128.load(q);
        let lo = lowCodes(5, v, g, low, fifth), hi = highCodes(5, v, h, low, fifth);
        let t0 = mode == PAIRS ? i32x4.splat(0) : s0;
        let t1 = mode == PAIRS ? i32x4.splat(0) : s1;
        let t2 = mode == PAIRS ? i32x4.splat(0) : s2;
        let t3 = mode == PAIRS ? i32x4.splat(0) : s3;
        t0 = step(mode, v128.load32_splat(x), lo, t0);
        t1 = step(mode, v128.load32_splat(x, 32), lo, t1);
        t2 = step(mode, v128.load32_splat(x, 64), lo, t2);
        t3 = step(mode, v128.load32_splat(x, 96), lo, t3);
        t0 = step(mode, v128.load32_splat(x, 16), hi, t0);
        t1 = step(mode, v128.load32_splat(x, 48), hi, t1);
        t2 = step(mode, v128.load32_splat(x, 80), hi, t2);
        t3 = step(mode, v128.load32_splat(x, 112), hi, t3);
        v = v128.load(q, 16);
        lo = lowCodes(5, v, i32x4.shr_u(g, 1), low, fifth);
        hi = highCodes(5, v, i32x4.shr_u(h, 1), low, fifth);
        t0 = step(mode, v128.load32_splat(x, 4), lo, t0);
        t1 = step(mode, v128.load32_splat(x, 36), lo, t1);
        t2 = step(mode, v128.load32_splat(x, 68), lo, t2);
        t3 = step(mode, v128.load32_splat(x, 100), lo, t3);
        t0 = step(mode, v128.load32_splat(x, 20), hi, t0);
        t1 = step(mode, v128.load32_splat(x, 52), hi, t1);
        t2 = step(mode, v128.load32_splat(x, 84), hi, t2);
        t3 = step(mode, v128.load32_splat(x, 116), hi, t3);
        s0 = mode == PAIRS ? i32x4.add(s0, widen(mode, t0)) : t0;
        s1 = mode == PAIRS ? i32x4.add(s1, widen(mode, t1)) : t1;
        s2 = mode == PAIRS ? i32x4.add(s2, widen(mode, t2)) : t2;
        s3 = mode == PAIRS ? i32x4.add(s3, widen(mode, t3)) : t3;
        g = i32x4.shr_u(g, 2);
        h = i32x4.shr_u(h, 2);
      }
      x += 112;
    }
    const at = w + scalesAt(bits);
    const d = scale(half, at, high, mask);
    const m = min ? scale(half, at + (half ? 16 : 32), high, mask) : d;
    c0 = close(c0, less(s0, off, xi), d, m, min, xs);
    c1 = close(c1, less(s1, off, xi + 4), d, m, min, xs + 4);
    c2 = close(c2, less(s2, off, xi + 8), d, m, min, xs + 8);
    c3 = close(c3, less(s3, off, xi + 12), d, m, min, xs + 12);
    xs += 32;
    xi += 16;
  }
  const add = (a.flags & ADD) != 0;
  let out = a.out + tile * 4 * a.stride + (panel << 5) + (high << 4);
  put(add, out, whole(half, c0));
  put(add, out += a.stride, whole(half, c1));
  put(add, out += a.stride, whole(half, c2));
  put(add, out + a.stride, whole(half, c3));
}

/** Rows are cut into tiles of four; one or two left over go one at a time. */
// @ts-ignore: decorator
@inline
function product(
  bits: i32,
  mode: i32,
  half: bool,
  min: bool,
  off: i32,
  a: Product,
  from: i32,
  to: i32,
): void {
  const rows = load<i32>(a.rows), left = rows & 3;
  const tiles = (rows >> 2) + (left == 3 ? 1 : 0);
  for (let p = from; p < to; p++) {
    for (let t = 0; t < tiles; t++) {
      fourRows(bits, mode, half, min, off, a, t, p, 0);
      fourRows(bits, mode, half, min, off, a, t, p, 1);
    }
  }
  if (left == 3) return;
  for (let r = tiles << 2; r < rows; r++) {
    oneRow(bits, mode, half, min, off, a, r, from, to);
  }
}

export function q4(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, true, false, 3, a, from, to);
  else product(4, QUADS_U8, true, false, 3, a, from, to);
}
export function q4m(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, true, true, 0, a, from, to);
  else product(4, QUADS_U8, true, true, 0, a, from, to);
}
export function q4mf(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, false, true, 0, a, from, to);
  else product(4, QUADS_U8, false, true, 0, a, from, to);
}
export function q5(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(5, PAIRS, true, false, 4, a, from, to);
  else product(5, QUADS_U8, true, false, 4, a, from, to);
}
export function q5m(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(5, PAIRS, true, true, 0, a, from, to);
  else product(5, QUADS_U8, true, true, 0, a, from, to);
}
export function q5mf(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(5, PAIRS, false, true, 0, a, from, to);
  else product(5, QUADS_U8, false, true, 0, a, from, to);
}
export function q8(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == QUADS_U8) product(8, QUADS_U8, true, false, 7, a, from, to);
  else if (mode == QUADS_S8) product(8, QUADS_S8, true, false, 0, a, from, to);
  else product(8, PAIRS, true, false, 0, a, from, to);
}
