// Sums of coded values, weighted.
//
// A V piece; a code lies as [eight dimensions][two positions], so that an i32 lane of
// a product is a dimension:
//
// ```text
//  INT8    codes i8 [D/8][T/2]{ 8 × 2 } | scales bf16 [T]
//  INT4    codes u4 [D/8][T/4]{ 8 × 2, 8 × 2 } | steps bf16 [D/64][T] | minima the same
//  NVFP4   scale f32, 12 bytes of 0 | codes | scales E4M3 [D/16][T]
//  MXFP4   codes | scales E8M0 [D/32][T]
//  HALF    f16 [T][D]
// ```
// Each run of scales is padded to whole 16 bytes. A softmax weight times its
// position's scale becomes a 15-bit integer, one set of them for each group of
// dimensions that share scales. Sums of a split fit in 31 bits: 127 × 32767 × 256.
import { EXP_ROUND, LOW_NIBBLES, madd, max4, sum4 } from "./lanes";
import { E4M3_SCALE, lane, levels, nibbles } from "./coded_scores";
import { SPLIT } from "./scores";
import { groupOf, INT4, INT8, MOST, NVFP4 } from "./sealed";

// @ts-ignore: decorator
@inline
function whole(n: usize): usize {
  return (n + 15) & ~15;
}

/** Bytes from a V piece to its codes, and from there to its scales. */
// @ts-ignore: decorator
@inline
function codesOf(kind: i32): usize {
  return kind == NVFP4 ? 16 : 0;
}
// @ts-ignore: decorator
@inline
function scalesOf(kind: i32, dim: i32, tokens: i32): usize {
  const n = <usize> (dim * tokens);
  return codesOf(kind) + (kind == INT8 ? n : n >> 1);
}

/** Eight bytes of scales as two vectors, their bits moved up. */
// @ts-ignore: decorator
@inline
function scales8(p: usize, move: i32, high: bool): v128 {
  const e = i16x8.extend_low_i8x16_u(v128.load64_zero(p));
  const w = high ? i32x4.extend_high_i16x8_u(e) : i32x4.extend_low_i16x8_u(e);
  return i32x4.shl(w, move);
}

/**
 * Writes what a group of dimensions multiplies weights with, of the block's
 * positions, to `out`, and what is added (minima) to `mins`.
 */
export function readScales(
  kind: i32,
  piece: usize,
  group: i32,
  dim: i32,
  tokens: i32,
  out: usize,
  mins: usize,
): void {
  let p = piece + scalesOf(kind, dim, tokens);
  const end = out + (<usize> tokens << 2);
  if (kind == INT8 || kind == INT4) {
    const run = whole(<usize> tokens << 1);
    const next = run * <usize> (dim / groupOf(kind, dim));
    p += run * <usize> group;
    for (; out < end; out += 32, p += 16, mins += 32) {
      const h = v128.load(p);
      v128.store(out, i32x4.shl(i32x4.extend_low_i16x8_u(h), 16));
      v128.store(out, i32x4.shl(i32x4.extend_high_i16x8_u(h), 16), 16);
      if (kind == INT8) continue;
      const m = v128.load(p + next);
      v128.store(mins, i32x4.shl(i32x4.extend_low_i16x8_u(m), 16));
      v128.store(mins, i32x4.shl(i32x4.extend_high_i16x8_u(m), 16), 16);
    }
    return;
  }
  p += <usize> (group * tokens);
  const nv = kind == NVFP4, move = nv ? 20 : 23;
  // FP4 is summed at twice its values.
  // In two steps: the two factors together may be too large.
  const lack = f32x4.splat(nv ? E4M3_SCALE : 1);
  const k = f32x4.splat(nv ? load<f32>(piece) * 0.5 : 0.5);
  for (; out < end; out += 32, p += 8) {
    const s = f32x4.mul(scales8(p, move, false), lack);
    const t = f32x4.mul(scales8(p, move, true), lack);
    v128.store(out, f32x4.mul(s, k));
    v128.store(out, f32x4.mul(t, k), 16);
  }
}

/** Eight weights of one query, times factors, as integers of 16 bits. */
// @ts-ignore: decorator
@inline
function eight(p: usize, f: v128, g: v128, round: v128): v128 {
  // The rounded number stands in the low bits of the sum.
  const a = madd(v128.load(p), f, round), b = madd(v128.load(p, 16), g, round);
  return i16x8.narrow_i32x4_s(i32x4.sub(a, round), i32x4.sub(b, round));
}

/**
 * Weights of a quad, [4][SPLIT], times factors as integers, [position/2]{ 4 queries
 * × 2 }; `count` is a multiple of 8.
 */
export function toWeights(p: usize, f: usize, count: i32, out: usize): void {
  const round = v128.load(EXP_ROUND);
  for (const end = p + (<usize> count << 2); p < end; p += 32, f += 32, out += 64) {
    const g = v128.load(f), h = v128.load(f, 16);
    const a = eight(p, g, h, round), b = eight(p + SPLIT * 4, g, h, round);
    const c = eight(p + SPLIT * 8, g, h, round);
    const d = eight(p + SPLIT * 12, g, h, round);
    // Four rows of four pairs become columns.
    const s = v128.shuffle<i32>(a, b, 0, 4, 1, 5);
    const t = v128.shuffle<i32>(c, d, 0, 4, 1, 5);
    const u = v128.shuffle<i32>(a, b, 2, 6, 3, 7);
    const v = v128.shuffle<i32>(c, d, 2, 6, 3, 7);
    v128.store(out, v128.shuffle<i64>(s, t, 0, 2));
    v128.store(out, v128.shuffle<i64>(s, t, 1, 3), 16);
    v128.store(out, v128.shuffle<i64>(u, v, 0, 2), 32);
    v128.store(out, v128.shuffle<i64>(u, v, 1, 3), 48);
  }
}

/** Largest of `count` factors. */
export function largest(f: usize, count: i32): f32 {
  let top = f32x4.splat(0);
  for (const end = f + (<usize> count << 2); f < end; f += 16) {
    top = f32x4.pmax(top, v128.load(f));
  }
  return max4(top);
}

/** Multiplies `count` factors. */
export function scaleAll(f: usize, count: i32, k: f32): void {
  const by = f32x4.splat(k);
  for (const end = f + (<usize> count << 2); f < end; f += 16) {
    v128.store(f, f32x4.mul(v128.load(f), by));
  }
}

/** Sum of `count` products. */
export function product(p: usize, m: usize, count: i32): f32 {
  let sum = f32x4.splat(0);
  for (const end = p + (<usize> count << 2); p < end; p += 16, m += 16) {
    sum = madd(v128.load(p), v128.load(m), sum);
  }
  return sum4(sum);
}

/**
 * Adds `tokens` positions of eight dimensions at a time, weighted, to sums i32 of up
 * to four queries; `line` is the bytes of one query's sums.
 */
// @ts-ignore: decorator
@inline
function sumQuad(
  n: i32,
  four: bool,
  fp4: bool,
  p: usize,
  v: usize,
  dims: i32,
  tokens: i32,
  o: usize,
  line: usize,
): void {
  const mask = v128.load(LOW_NIBBLES), table = fp4 ? levels() : mask;
  const end = p + (<usize> tokens << 3);
  for (let d = 0; d < dims; d += 8, o += 32) {
    let a0 = v128.load(o), b0 = v128.load(o, 16);
    let a1 = a0, b1 = a0, a2 = a0, b2 = a0, a3 = a0, b3 = a0;
    if (n > 1) {
      a1 = v128.load(o + line);
      b1 = v128.load(o + line, 16);
    }
    if (n > 2) {
      a2 = v128.load(o + line * 2);
      b2 = v128.load(o + line * 2, 16);
    }
    if (n > 3) {
      a3 = v128.load(o + line * 3);
      b3 = v128.load(o + line * 3, 16);
    }
    for (let w = p; w < end; w += 32) {
      const c = v128.load(v);
      let r = four ? nibbles(fp4, false, c, mask, table) : c;
      let s = i16x8.extend_low_i8x16_s(r), t = i16x8.extend_high_i8x16_s(r);
      let x = v128.load(w), y = lane(x, 0);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(s, y));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(t, y));
      if (n > 1) {
        y = lane(x, 1);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(s, y));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(t, y));
      }
      if (n > 2) {
        y = lane(x, 2);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(s, y));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(t, y));
      }
      if (n > 3) {
        y = lane(x, 3);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(s, y));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(t, y));
      }
      r = four ? nibbles(fp4, true, c, mask, table) : v128.load(v, 16);
      v += four ? 16 : 32;
      s = i16x8.extend_low_i8x16_s(r);
      t = i16x8.extend_high_i8x16_s(r);
      x = v128.load(w, 16);
      y = lane(x, 0);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(s, y));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(t, y));
      if (n > 1) {
        y = lane(x, 1);
        a1 = i32x4.add(a1, i32x4.dot_i16x8_s(s, y));
        b1 = i32x4.add(b1, i32x4.dot_i16x8_s(t, y));
      }
      if (n > 2) {
        y = lane(x, 2);
        a2 = i32x4.add(a2, i32x4.dot_i16x8_s(s, y));
        b2 = i32x4.add(b2, i32x4.dot_i16x8_s(t, y));
      }
      if (n > 3) {
        y = lane(x, 3);
        a3 = i32x4.add(a3, i32x4.dot_i16x8_s(s, y));
        b3 = i32x4.add(b3, i32x4.dot_i16x8_s(t, y));
      }
    }
    v128.store(o, a0);
    v128.store(o, b0, 16);
    if (n > 1) {
      v128.store(o + line, a1);
      v128.store(o + line, b1, 16);
    }
    if (n > 2) {
      v128.store(o + line * 2, a2);
      v128.store(o + line * 2, b2, 16);
    }
    if (n > 3) {
      v128.store(o + line * 3, a3);
      v128.store(o + line * 3, b3, 16);
    }
  }
}

// @ts-ignore: decorator
@inline
function sums(
  n: i32,
  four: bool,
  fp4: bool,
  p: usize,
  v: usize,
  dims: i32,
  tokens: i32,
  o: usize,
  line: usize,
): void {
  if (n == 4) sumQuad(4, four, fp4, p, v, dims, tokens, o, line);
  else if (n == 3) sumQuad(3, four, fp4, p, v, dims, tokens, o, line);
  else if (n == 2) sumQuad(2, four, fp4, p, v, dims, tokens, o, line);
  else sumQuad(1, four, fp4, p, v, dims, tokens, o, line);
}
function sumInt8(
  n: i32, p: usize, v: usize, dims: i32, tokens: i32, o: usize, line: usize,
): void {
  sums(n, false, false, p, v, dims, tokens, o, line);
}
function sumInt4(
  n: i32, p: usize, v: usize, dims: i32, tokens: i32, o: usize, line: usize,
): void {
  sums(n, true, false, p, v, dims, tokens, o, line);
}
function sumFp4(
  n: i32, p: usize, v: usize, dims: i32, tokens: i32, o: usize, line: usize,
): void {
  sums(n, true, true, p, v, dims, tokens, o, line);
}

/** Adds a block's codes of a group of dimensions to `o`, [query]{ `line` bytes }. */
export function sumCoded(
  kind: i32,
  n: i32,
  p: usize,
  piece: usize,
  group: i32,
  dim: i32,
  tokens: i32,
  o: usize,
  line: usize,
): void {
  const dims = groupOf(kind, dim);
  const bytes = <usize> (group * dims * tokens);
  const v = piece + codesOf(kind) + (kind == INT8 ? bytes : bytes >> 1);
  if (kind == INT8) sumInt8(n, p, v, dims, tokens, o, line);
  else if (kind == INT4) sumInt4(n, p, v, dims, tokens, o, line);
  else sumFp4(n, p, v, dims, tokens, o, line);
}
