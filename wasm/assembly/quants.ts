// Matrix times quantised rows, for weights of 4, 5 and 8 bits with a scale per
// block of 32 inputs.
//
// Weights lie in panels of four outputs, so that a lane of an accumulator is an
// output and no sum ever crosses lanes. One block (32 inputs) of one panel:
//
// ```text
//  4 bits   64 B  vector j (0..3), bytes 4r..4r+3: output r; low nibbles are
//                 inputs 4j..4j+3, high nibbles inputs 16+4j..16+4j+3
//  5 bits   80 B  as 4 bits, then 16 B of fifth bits: in byte i of output r, bit j
//                 belongs to input 4j+i and bit 4+j to input 16+4j+i
//  8 bits  128 B  vector j (0..7), bytes 4r..4r+3: inputs 4j..4j+3 of output r
// ```
// Scales (and minima) are planes of their own, four per block and panel, as f16
// where the file's are f16 and else f32.
//
// Rows of activations lie in tiles of four, so that one pointer serves a tile:
//
// ```text
//  codes  xq  [tile][block][4 rows][32]  int8
//  sums   xi  [tile][block][4 rows]      i32 sum of the codes
//  scales xs  [tile][block]{ scale·2^112 [4], scale·2^112·sum [4] }  f32
//  plain  xf  the same without 2^112, for weights whose scales are f32
// ```
//
// Every output adds its blocks in the same order, whatever the tile: a row's
// result does not depend on the rows beside it.
import {
  loadHalves,
  madd,
  PAIRS,
  pairs,
  QUADS_S8,
  QUADS_U8,
  step,
  widen,
} from "./lanes";

/** Where one matrix multiplication reads and writes; a record of the step program. */
@unmanaged
export class Product {
  kind: i32;
  flags: i32;
  w: usize;
  d: usize;
  m: usize;
  sc: usize;
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

// @ts-ignore: decorator
@inline
function scale(half: bool, p: usize, i: usize): v128 {
  return half ? loadHalves(p + (i << 3)) : v128.load(p + (i << 4));
}

// @ts-ignore: decorator
@inline
export function put(add: bool, p: usize, v: v128): void {
  v128.store(p, add ? f32x4.add(v128.load(p), v) : v);
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

/** Sums of one 4-bit block of one panel with one row. */
// @ts-ignore: decorator
@inline
function dot4(mode: i32, w: usize, x: usize): v128 {
  const low = i8x16.splat(15);
  let v = v128.load(w);
  let s = step(mode, v128.load32_splat(x), v128.and(v, low), i32x4.splat(0));
  s = step(
    mode,
    v128.load32_splat(x, 16),
    v128.and(i16x8.shr_u(v, 4), low),
    s,
  );
  v = v128.load(w, 16);
  s = step(mode, v128.load32_splat(x, 4), v128.and(v, low), s);
  s = step(
    mode,
    v128.load32_splat(x, 20),
    v128.and(i16x8.shr_u(v, 4), low),
    s,
  );
  v = v128.load(w, 32);
  s = step(mode, v128.load32_splat(x, 8), v128.and(v, low), s);
  s = step(
    mode,
    v128.load32_splat(x, 24),
    v128.and(i16x8.shr_u(v, 4), low),
    s,
  );
  v = v128.load(w, 48);
  s = step(mode, v128.load32_splat(x, 12), v128.and(v, low), s);
  s = step(
    mode,
    v128.load32_splat(x, 28),
    v128.and(i16x8.shr_u(v, 4), low),
    s,
  );
  return widen(mode, s);
}

/** Sums of one 5-bit block: pair sums reach 31·127·2·4 before they are widened. */
// @ts-ignore: decorator
@inline
function dot5(mode: i32, w: usize, x: usize): v128 {
  const low = i8x16.splat(15), fifth = i8x16.splat(16);
  const h = v128.load(w, 64);
  let v = v128.load(w);
  let b = v128.or(v128.and(v, low), v128.and(i32x4.shl(h, 4), fifth));
  let s = step(mode, v128.load32_splat(x), b, i32x4.splat(0));
  b = v128.or(v128.and(i16x8.shr_u(v, 4), low), v128.and(h, fifth));
  s = step(mode, v128.load32_splat(x, 16), b, s);
  v = v128.load(w, 16);
  b = v128.or(v128.and(v, low), v128.and(i32x4.shl(h, 3), fifth));
  s = step(mode, v128.load32_splat(x, 4), b, s);
  b = v128.or(
    v128.and(i16x8.shr_u(v, 4), low),
    v128.and(i32x4.shr_u(h, 1), fifth),
  );
  s = step(mode, v128.load32_splat(x, 20), b, s);
  let t = mode == PAIRS ? i32x4.splat(0) : s;
  v = v128.load(w, 32);
  b = v128.or(v128.and(v, low), v128.and(i32x4.shl(h, 2), fifth));
  t = step(mode, v128.load32_splat(x, 8), b, t);
  b = v128.or(
    v128.and(i16x8.shr_u(v, 4), low),
    v128.and(i32x4.shr_u(h, 2), fifth),
  );
  t = step(mode, v128.load32_splat(x, 24), b, t);
  v = v128.load(w, 48);
  b = v128.or(v128.and(v, low), v128.and(i32x4.shl(h, 1), fifth));
  t = step(mode, v128.load32_splat(x, 12), b, t);
  b = v128.or(
    v128.and(i16x8.shr_u(v, 4), low),
    v128.and(i32x4.shr_u(h, 3), fifth),
  );
  t = step(mode, v128.load32_splat(x, 28), b, t);
  return mode == PAIRS ? i32x4.add(widen(mode, s), widen(mode, t)) : t;
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

// @ts-ignore: decorator
@inline
function dot8(mode: i32, w: usize, x: usize): v128 {
  let s = step8(mode, v128.load32_splat(x), v128.load(w), i32x4.splat(0));
  s = step8(mode, v128.load32_splat(x, 4), v128.load(w, 16), s);
  s = step8(mode, v128.load32_splat(x, 8), v128.load(w, 32), s);
  s = step8(mode, v128.load32_splat(x, 12), v128.load(w, 48), s);
  s = step8(mode, v128.load32_splat(x, 16), v128.load(w, 64), s);
  s = step8(mode, v128.load32_splat(x, 20), v128.load(w, 80), s);
  s = step8(mode, v128.load32_splat(x, 24), v128.load(w, 96), s);
  return step8(mode, v128.load32_splat(x, 28), v128.load(w, 112), s);
}

// @ts-ignore: decorator
@inline
function dot(bits: i32, mode: i32, w: usize, x: usize): v128 {
  return bits == 4
    ? dot4(mode, w, x)
    : bits == 5
    ? dot5(mode, w, x)
    : dot8(mode, w, x);
}

// @ts-ignore: decorator
@inline
function blockBytes(bits: i32): usize {
  return bits == 4 ? 64 : bits == 5 ? 80 : 128;
}

/** One row, panels in pairs: two independent chains of sums. */
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
  const size = blockBytes(bits);
  const tile = (row >> 2) * nb, lane = row & 3;
  const scales = half ? a.xs : a.xf;
  let out = a.out + row * a.stride + (<usize> from << 4);
  let p = <usize> from;
  for (; p < <usize> to; p += 2) {
    const two = p + 1 < <usize> to;
    let acc = f32x4.splat(0), acc2 = acc;
    let w = a.w + p * nb * size, w2 = two ? w + nb * size : w;
    let i = p * nb, i2 = two ? i + nb : i;
    let x = a.xq + tile * 128 + lane * 32;
    let xs = scales + tile * 32 + lane * 4, xi = a.xi + tile * 16 + lane * 4;
    for (let b: usize = 0; b < nb; b++) {
      acc = close(
        acc,
        less(dot(bits, mode, w, x), off, xi),
        scale(half, a.d, i),
        min ? scale(half, a.m, i) : acc,
        min,
        xs,
      );
      acc2 = close(
        acc2,
        less(dot(bits, mode, w2, x), off, xi),
        scale(half, a.d, i2),
        min ? scale(half, a.m, i2) : acc2,
        min,
        xs,
      );
      w += size;
      w2 += size;
      i++;
      i2++;
      x += 128;
      xs += 32;
      xi += 16;
    }
    put(add, out, acc);
    if (two) put(add, out + 16, acc2);
    out += 32;
  }
}

/** Four rows at once: each weight is unpacked once for all of them. */
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
): void {
  const nb = a.nb, low = i8x16.splat(15), fifth = i8x16.splat(16);
  const size = blockBytes(bits);
  let w = a.w + panel * nb * size, i = panel * nb;
  let x = a.xq + tile * nb * 128;
  let xs = (half ? a.xs : a.xf) + tile * nb * 32, xi = a.xi + tile * nb * 16;
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
  for (let b: usize = 0; b < nb; b++) {
    let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    if (bits == 8) {
      for (const end = w + 128; w < end; w += 16, x += 4) {
        const v = v128.load(w);
        s0 = step8(mode, v128.load32_splat(x), v, s0);
        s1 = step8(mode, v128.load32_splat(x, 32), v, s1);
        s2 = step8(mode, v128.load32_splat(x, 64), v, s2);
        s3 = step8(mode, v128.load32_splat(x, 96), v, s3);
      }
      x += 96;
    } else if (bits == 4) {
      for (const end = w + 64; w < end; w += 16, x += 4) {
        const v = v128.load(w);
        const lo = v128.and(v, low), hi = v128.and(i16x8.shr_u(v, 4), low);
        s0 = step(mode, v128.load32_splat(x), lo, s0);
        s1 = step(mode, v128.load32_splat(x, 32), lo, s1);
        s2 = step(mode, v128.load32_splat(x, 64), lo, s2);
        s3 = step(mode, v128.load32_splat(x, 96), lo, s3);
        s0 = step(mode, v128.load32_splat(x, 16), hi, s0);
        s1 = step(mode, v128.load32_splat(x, 48), hi, s1);
        s2 = step(mode, v128.load32_splat(x, 80), hi, s2);
        s3 = step(mode, v128.load32_splat(x, 112), hi, s3);
      }
      x += 112;
      s0 = widen(mode, s0);
      s1 = widen(mode, s1);
      s2 = widen(mode, s2);
      s3 = widen(mode, s3);
    } else {
      let h = v128.load(w, 64), g = i32x4.shl(h, 4);
      for (const end = w + 64; w < end; w += 32, x += 8) {
        let v = v128.load(w);
        let lo = v128.or(v128.and(v, low), v128.and(g, fifth));
        let hi = v128.or(
          v128.and(i16x8.shr_u(v, 4), low),
          v128.and(h, fifth),
        );
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
        v = v128.load(w, 16);
        lo = v128.or(v128.and(v, low), v128.and(i32x4.shr_u(g, 1), fifth));
        hi = v128.or(
          v128.and(i16x8.shr_u(v, 4), low),
          v128.and(i32x4.shr_u(h, 1), fifth),
        );
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
      w += 16;
      x += 112;
    }
    const d = scale(half, a.d, i), m = min ? scale(half, a.m, i) : d;
    c0 = close(c0, less(s0, off, xi), d, m, min, xs);
    c1 = close(c1, less(s1, off, xi + 4), d, m, min, xs + 4);
    c2 = close(c2, less(s2, off, xi + 8), d, m, min, xs + 8);
    c3 = close(c3, less(s3, off, xi + 12), d, m, min, xs + 12);
    i++;
    xs += 32;
    xi += 16;
  }
  const add = (a.flags & ADD) != 0;
  let out = a.out + tile * 4 * a.stride + (panel << 4);
  put(add, out, c0);
  put(add, out += a.stride, c1);
  put(add, out += a.stride, c2);
  put(add, out + a.stride, c3);
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
      fourRows(bits, mode, half, min, off, a, t, p);
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
