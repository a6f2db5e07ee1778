// Scores of queries with eight coded keys at a time.
//
// A K piece; a tile is eight positions, and a code lies as [two dimensions]{ 8
// positions × 2 }, so that an i32 lane of a product is a position:
//
// ```text
//  INT8    [T/8]{ codes i8 [D/2]{ 8 × 2 } | scales bf16 [8] }
//  INT4    steps bf16 [D] | minima bf16 [D] | [T/8]{ codes u4 [D/4]{ 8 × 2, 8 × 2 } }
//  NVFP4   scale f32, 12 bytes of 0 | [T/8]{ codes | scales E4M3 [D/16][8] }
//  MXFP4   [T/8]{ codes | scales E8M0 [D/32][8], whole 16 bytes }
//  HALF    [T/8]{ f16 [D]{ 8 } }
// ```
// Four-bit codes: the low nibbles of 16 bytes are two dimensions, the high ones the
// next two. FP4 codes are a sign and an index; FP4 is the table, twice its values.
import { HALF_SCALE, LOW_NIBBLES } from "./lanes";
import { scoreHalf, SPLIT } from "./scores";
import { HALF, INT4, INT8, MXFP4, NVFP4 } from "./sealed";

/** 2^120: what an E4M3 scale lacks when its bits are only moved. */
// @ts-ignore: decorator
@inline export const E4M3_SCALE: f32 = reinterpret<f32>(0x7b800000);

/** Bytes before the first tile of a K piece, and of a tile. */
export function headerOf(kind: i32, dim: i32): usize {
  if (kind == INT4) return <usize> dim << 2;
  return kind == NVFP4 ? 16 : 0;
}
export function tileOf(kind: i32, dim: i32): usize {
  const d = <usize> dim;
  switch (kind) {
    case INT8: return d * 8 + 16;
    case INT4: return d * 4;
    case NVFP4: return d * 4 + (d >> 1);
    case MXFP4: return d * 4 + ((d / 4 + 15) & ~15);
    default: return d * 16;
  }
}

/** The eight values that nibbles stand for, as bytes. */
// @ts-ignore: decorator
@inline
export function levels(): v128 {
  return i8x16(0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12);
}

// @ts-ignore: decorator
@inline
function lookUp(table: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(table, codes);
  return i8x16.swizzle(table, codes);
}

/** Low or high nibbles as bytes; `table` gives what they stand for, 4 bits or FP4. */
// @ts-ignore: decorator
@inline
export function nibbles(
  fp4: bool,
  high: bool,
  x: v128,
  mask: v128,
  table: v128,
): v128 {
  const n = v128.and(high ? i16x8.shr_u(x, 4) : x, mask);
  return fp4 ? lookUp(table, n) : n;
}

/** One i32 lane in all lanes. */
// @ts-ignore: decorator
@inline
export function lane(x: v128, i: i32): v128 {
  if (i == 0) return v128.shuffle<i32>(x, x, 0, 0, 0, 0);
  if (i == 1) return v128.shuffle<i32>(x, x, 1, 1, 1, 1);
  if (i == 2) return v128.shuffle<i32>(x, x, 2, 2, 2, 2);
  return v128.shuffle<i32>(x, x, 3, 3, 3, 3);
}

/** Eight scores of one query, stored. */
// @ts-ignore: decorator
@inline
function put(
  a: v128,
  b: v128,
  s: v128,
  t: v128,
  scale: usize,
  base: usize,
  out: usize,
): void {
  const k = v128.load32_splat(scale), c = v128.load32_splat(base);
  a = f32x4.add(f32x4.mul(a, f32x4.mul(s, k)), c);
  b = f32x4.add(f32x4.mul(b, f32x4.mul(t, k)), c);
  v128.store(out, a);
  v128.store(out, b, 16);
}

/** INT8, or (`four`) 4-bit codes of channels, whose scales are the queries'. */
// @ts-ignore: decorator
@inline
function scoreWhole(
  n: i32,
  four: bool,
  q: usize,
  scales: usize,
  bases: usize,
  k: usize,
  dim: i32,
  out: usize,
): void {
  const mask = v128.load(LOW_NIBBLES);
  let a0 = i32x4.splat(0), b0 = a0, a1 = a0, b1 = a0;
  let a2 = a0, b2 = a0, a3 = a0, b3 = a0;
  // Every access is checked by the engine: few wide ones, taken apart in registers.
  for (const end = q + (<usize> dim << 3); q < end; q += 32) {
    let c = v128.load(k), u: v128, v: v128;
    let r = four ? nibbles(false, false, c, mask, mask) : c;
    u = i16x8.extend_low_i8x16_s(r);
    v = i16x8.extend_high_i8x16_s(r);
    let x = v128.load(q), y = lane(x, 0);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, y));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, y));
    if (n > 1) {
      y = lane(x, 1);
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, y));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, y));
    }
    if (n > 2) {
      y = lane(x, 2);
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, y));
      b2 = i32x4.add(b2, i32x4.dot_i16x8_s(v, y));
    }
    if (n > 3) {
      y = lane(x, 3);
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, y));
      b3 = i32x4.add(b3, i32x4.dot_i16x8_s(v, y));
    }
    r = four ? nibbles(false, true, c, mask, mask) : v128.load(k, 16);
    k += four ? 16 : 32;
    u = i16x8.extend_low_i8x16_s(r);
    v = i16x8.extend_high_i8x16_s(r);
    x = v128.load(q, 16);
    y = lane(x, 0);
    a0 = i32x4.add(a0, i32x4.dot_i16x8_s(u, y));
    b0 = i32x4.add(b0, i32x4.dot_i16x8_s(v, y));
    if (n > 1) {
      y = lane(x, 1);
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(u, y));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(v, y));
    }
    if (n > 2) {
      y = lane(x, 2);
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(u, y));
      b2 = i32x4.add(b2, i32x4.dot_i16x8_s(v, y));
    }
    if (n > 3) {
      y = lane(x, 3);
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(u, y));
      b3 = i32x4.add(b3, i32x4.dot_i16x8_s(v, y));
    }
  }
  let s = f32x4.splat(1), t = s;
  if (!four) {
    const h = v128.load(k);
    s = i32x4.shl(i32x4.extend_low_i16x8_u(h), 16);
    t = i32x4.shl(i32x4.extend_high_i16x8_u(h), 16);
  }
  const f = f32x4.convert_i32x4_s(a0), g = f32x4.convert_i32x4_s(b0);
  put(f, g, s, t, scales, bases, out);
  if (n > 1) {
    const f = f32x4.convert_i32x4_s(a1), g = f32x4.convert_i32x4_s(b1);
    put(f, g, s, t, scales + 4, bases + 4, out + SPLIT * 4);
  }
  if (n > 2) {
    const f = f32x4.convert_i32x4_s(a2), g = f32x4.convert_i32x4_s(b2);
    put(f, g, s, t, scales + 8, bases + 8, out + SPLIT * 8);
  }
  if (n > 3) {
    const f = f32x4.convert_i32x4_s(a3), g = f32x4.convert_i32x4_s(b3);
    put(f, g, s, t, scales + 12, bases + 12, out + SPLIT * 12);
  }
}

/** FP4 with a scale for each `group` dimensions, its bits `move` too low. */
// @ts-ignore: decorator
@inline
function scoreGroups(
  group: i32,
  move: i32,
  q: usize,
  scale: usize,
  base: usize,
  k: usize,
  dim: i32,
  factor: f32,
  out: usize,
): void {
  const mask = v128.load(LOW_NIBBLES), table = levels();
  let scales = k + (<usize> dim << 2);
  let f = f32x4.splat(0), g = f;
  for (const end = q + (<usize> dim << 3); q < end; scales += 8) {
    let a = i32x4.splat(0), b = a;
    for (const stop = q + (<usize> group << 3); q < stop; q += 32, k += 16) {
      const x = v128.load(k);
      const l = nibbles(true, false, x, mask, table);
      const h = nibbles(true, true, x, mask, table);
      const y = v128.load32_splat(q), z = v128.load32_splat(q, 16);
      a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(l), y));
      b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(l), y));
      a = i32x4.add(a, i32x4.dot_i16x8_s(i16x8.extend_low_i8x16_s(h), z));
      b = i32x4.add(b, i32x4.dot_i16x8_s(i16x8.extend_high_i8x16_s(h), z));
    }
    const e = i16x8.extend_low_i8x16_u(v128.load64_zero(scales));
    const lack = f32x4.splat(move == 20 ? E4M3_SCALE : 1);
    const s = f32x4.mul(i32x4.shl(i32x4.extend_low_i16x8_u(e), move), lack);
    const t = f32x4.mul(i32x4.shl(i32x4.extend_high_i16x8_u(e), move), lack);
    f = f32x4.add(f, f32x4.mul(f32x4.convert_i32x4_s(a), s));
    g = f32x4.add(g, f32x4.mul(f32x4.convert_i32x4_s(b), t));
  }
  const one = f32x4.splat(factor);
  put(f, g, one, one, scale, base, out);
}

function scoreInt8(
  n: i32, q: usize, s: usize, b: usize, k: usize, dim: i32, out: usize,
): void {
  if (n == 4) scoreWhole(4, false, q, s, b, k, dim, out);
  else if (n == 3) scoreWhole(3, false, q, s, b, k, dim, out);
  else if (n == 2) scoreWhole(2, false, q, s, b, k, dim, out);
  else scoreWhole(1, false, q, s, b, k, dim, out);
}
function scoreInt4(
  n: i32, q: usize, s: usize, b: usize, k: usize, dim: i32, out: usize,
): void {
  if (n == 4) scoreWhole(4, true, q, s, b, k, dim, out);
  else if (n == 3) scoreWhole(3, true, q, s, b, k, dim, out);
  else if (n == 2) scoreWhole(2, true, q, s, b, k, dim, out);
  else scoreWhole(1, true, q, s, b, k, dim, out);
}

/**
 * Scores of up to four queries with the eight keys of a tile, [4][SPLIT]. `q`,
 * `scales`, `bases`: the quad's in a form; `floats` the same as f32. `piece` is where
 * the tile's K piece begins.
 */
export function scoreCoded(
  kind: i32,
  n: i32,
  q: usize,
  floats: usize,
  scales: usize,
  bases: usize,
  piece: usize,
  tile: usize,
  dim: i32,
  out: usize,
): void {
  if (kind == INT8) return scoreInt8(n, q, scales, bases, tile, dim, out);
  if (kind == INT4) return scoreInt4(n, q, scales, bases, tile, dim, out);
  if (kind == HALF) {
    scoreHalf(n, floats, tile, dim, out);
    const k = f32x4.splat(HALF_SCALE);
    for (let i: usize = 0; i < <usize> n; i++) {
      const to = out + i * (SPLIT * 4), base = v128.load32_splat(bases + (i << 2));
      v128.store(to, f32x4.add(f32x4.mul(v128.load(to), k), base));
      v128.store(to, f32x4.add(f32x4.mul(v128.load(to, 16), k), base), 16);
    }
    return;
  }
  for (let i: usize = 0; i < <usize> n; i++) {
    const at = i << 2, to = out + i * (SPLIT * 4);
    // FP4 is kept at twice its values.
    if (kind == NVFP4) {
      const g = load<f32>(piece) * 0.5;
      scoreGroups(16, 20, q + at, scales + at, bases + at, tile, dim, g, to);
    } else {
      scoreGroups(32, 23, q + at, scales + at, bases + at, tile, dim, 0.5, to);
    }
  }
}
