// Sealing: blocks that a step has filled, from values to codes, before anyone reads
// them. One unit is the K or the V piece of one head of one block.
import { headerOf, tileOf } from "./coded_scores";
import { HALF_SCALE, max4, spread8, toHalves } from "./lanes";
import { sealK4, sealV4 } from "./seal4";
import { rotateQuads, rotateRow } from "./rotate";
import { HALF, INT8, ROTATE_K, ROTATE_V, Sealed } from "./sealed";

@unmanaged
export class Seal {
  kind: i32;
  flags: i32;
  /** As Attend has them. */
  table: usize;
  tableStride: usize;
  positions: usize;
  seqs: usize;
  rows: usize;
  kvHeads: i32;
  dim: i32;
  blockTokens: i32;
  layer: usize;
  part: usize;
  size: usize;
  /** A Sealed. */
  sealed: usize;
  /** Address of how many blocks the step fills; 0: nothing to do. */
  seals: usize;
}

/** NaN is 0, and nothing is larger than an f16. */
// @ts-ignore: decorator
@inline
function finite(x: v128): v128 {
  x = v128.and(x, f32x4.eq(x, x));
  return f32x4.max(f32x4.min(x, f32x4.splat(65504)), f32x4.splat(-65504));
}

/** Nearest bf16 of magnitudes, ties to even; 0 below 2^-126. */
// @ts-ignore: decorator
@inline
function toScales(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  const b = i32x4.shr_u(i32x4.add(x, i32x4.add(odd, i32x4.splat(0x7fff))), 16);
  return v128.and(b, i32x4.ge_s(b, i32x4.splat(0x80)));
}

// @ts-ignore: decorator
@inline
export function toBrain(x: f32): u32 {
  const b = reinterpret<u32>(x);
  return (b + 0x7fff + ((b >> 16) & 1)) >> 16;
}

/** bf16 of a magnitude; 0 below 2^-126. */
// @ts-ignore: decorator
@inline
export function toScale(x: f32): u32 {
  const b = toBrain(x);
  return b < 0x80 ? 0 : b;
}

/** What values are multiplied with to become codes; 0 where the scale is. */
// @ts-ignore: decorator
@inline
function inverse(scale: v128): v128 {
  const some = f32x4.gt(scale, f32x4.splat(0));
  return v128.and(f32x4.div(f32x4.splat(1), scale), some);
}

// @ts-ignore: decorator
@inline
function code(x: v128, k: v128): v128 {
  const y = f32x4.nearest(f32x4.mul(x, k));
  const most = f32x4.splat(127);
  return i32x4.trunc_sat_f32x4_s(f32x4.max(f32x4.min(y, most), f32x4.neg(most)));
}

/** Reads `n` values (a multiple of 8) as f32, made finite. */
function read(from: usize, size: usize, n: i32, to: usize): void {
  const k = f32x4.splat(HALF_SCALE);
  for (const end = to + (<usize> n << 2); to < end; to += 32, from += size * 8) {
    let a: v128, b: v128;
    if (size == 2) {
      a = f32x4.mul(spread8(from, false), k);
      b = f32x4.mul(spread8(from, true), k);
    } else {
      a = v128.load(from);
      b = v128.load(from, 16);
    }
    v128.store(to, finite(a));
    v128.store(to, finite(b), 16);
  }
}

/** The eight keys of a tile as f32 [D]{ 8 }, centred and rotated. */
export function readKeys(
  s: Sealed,
  head: i32,
  from: usize,
  size: usize,
  dim: i32,
  to: usize,
): void {
  read(from, size, dim * 8, to);
  if (s.centre) {
    let c = s.centre + (<usize> (head * dim) << 2);
    for (let p = to; p < to + (<usize> dim << 5); p += 32, c += 4) {
      const x = v128.load32_splat(c);
      v128.store(p, f32x4.sub(v128.load(p), x));
      v128.store(p, f32x4.sub(v128.load(p, 16), x), 16);
    }
  }
  if (s.flags & ROTATE_K) rotateQuads(to, dim, 32);
}

/** One position's value as f32, rotated. */
export function readValue(
  s: Sealed,
  from: usize,
  size: usize,
  dim: i32,
  to: usize,
): void {
  read(from, size, dim, to);
  if (s.flags & ROTATE_V) rotateRow(to, dim);
}

/** Keys of a tile as INT8: a scale for each position. */
function keys8(x: usize, dim: i32, out: usize): void {
  const end = x + (<usize> dim << 5), most = f32x4.splat(127);
  let a = f32x4.splat(0), b = a;
  for (let p = x; p < end; p += 32) {
    a = f32x4.max(a, f32x4.abs(v128.load(p)));
    b = f32x4.max(b, f32x4.abs(v128.load(p, 16)));
  }
  const s = toScales(f32x4.div(a, most)), t = toScales(f32x4.div(b, most));
  const k = inverse(i32x4.shl(s, 16)), l = inverse(i32x4.shl(t, 16));
  const low = i16x8.splat(0xff);
  for (let p = x; p < end; p += 64, out += 16) {
    const even = i16x8.narrow_i32x4_s(
      code(v128.load(p), k),
      code(v128.load(p, 16), l),
    );
    const odd = i16x8.narrow_i32x4_s(
      code(v128.load(p, 32), k),
      code(v128.load(p, 48), l),
    );
    v128.store(out, v128.or(v128.and(even, low), i16x8.shl(odd, 8)));
  }
  v128.store(out, i16x8.narrow_i32x4_u(s, t));
}

/** Two positions' values as INT8; `line` is from eight dimensions to the next. */
function values8(x: usize, dim: i32, out: usize, line: usize, scales: usize): void {
  const row = <usize> dim << 2, low = i16x8.splat(0xff);
  let a = f32x4.splat(0), b = a;
  for (let p = x; p < x + row; p += 16) {
    a = f32x4.max(a, f32x4.abs(v128.load(p)));
    b = f32x4.max(b, f32x4.abs(v128.load(p + row)));
  }
  const s = toScale(max4(a) / 127), t = toScale(max4(b) / 127);
  store<u16>(scales, s);
  store<u16>(scales, t, 2);
  const k = inverse(f32x4.splat(reinterpret<f32>(s << 16)));
  const l = inverse(f32x4.splat(reinterpret<f32>(t << 16)));
  for (let p = x; p < x + row; p += 32, out += line) {
    const even = i16x8.narrow_i32x4_s(
      code(v128.load(p), k),
      code(v128.load(p, 16), k),
    );
    const odd = i16x8.narrow_i32x4_s(
      code(v128.load(p + row), l),
      code(v128.load(p + row, 16), l),
    );
    v128.store(out, v128.or(v128.and(even, low), i16x8.shl(odd, 8)));
  }
}

function toHalfRun(x: usize, n: i32, out: usize): void {
  for (const end = x + (<usize> n << 2); x < end; x += 32, out += 16) {
    const a = toHalves(v128.load(x)), b = toHalves(v128.load(x, 16));
    v128.store(out, i16x8.narrow_i32x4_u(a, b));
  }
}

function sealKeys(
  a: Seal,
  s: Sealed,
  head: i32,
  from: usize,
  piece: usize,
  room: usize,
): void {
  const dim = a.dim, kind = s.kKind, size = a.size;
  const step = <usize> dim * 8 * size, tile = tileOf(kind, dim);
  if (kind != INT8 && kind != HALF) {
    sealK4(s, head, from, size, dim, a.blockTokens, piece, room);
    return;
  }
  let out = piece + headerOf(kind, dim);
  for (let t = 0; t < a.blockTokens; t += 8, from += step, out += tile) {
    readKeys(s, head, from, size, dim, room);
    if (kind == INT8) keys8(room, dim, out);
    else toHalfRun(room, dim * 8, out);
  }
}

function sealValues(a: Seal, s: Sealed, from: usize, piece: usize, room: usize): void {
  const dim = a.dim, kind = s.vKind, size = a.size, tokens = a.blockTokens;
  const row = <usize> dim << 2, step = <usize> dim * size;
  if (kind == HALF) {
    for (let t = 0; t < tokens; t++, from += step, piece += <usize> dim << 1) {
      readValue(s, from, size, dim, room);
      toHalfRun(room, dim, piece);
    }
    return;
  }
  if (kind != INT8) {
    sealV4(s, from, size, dim, tokens, piece, room);
    return;
  }
  const line = <usize> tokens << 3;
  let scales = piece + <usize> (dim * tokens);
  for (let t = 0; t < tokens; t += 2, from += step * 2, scales += 4) {
    readValue(s, from, size, dim, room);
    readValue(s, from + step, size, dim, room + row);
    values8(room, dim, piece + (<usize> t << 3), line, scales);
  }
}

/** Seals what this worker takes of the blocks that the step's rows fill. */
export function sealBlocks(a: Seal, next: usize, room: usize): void {
  const s = changetype<Sealed>(a.sealed), tokens = a.blockTokens;
  const rows = load<i32>(a.rows);
  let unit = 0, mine = atomic.add<i32>(next, 1);
  for (let r = 0; r < rows; r++) {
    const position = load<i32>(a.positions + (<usize> r << 2));
    if ((position + 1) % tokens != 0) continue;
    const seq = <usize> load<i32>(a.seqs + (<usize> r << 2)) * a.tableStride;
    const b = position / tokens;
    // Never one that is elsewhere: the step writes it.
    const to = <usize> load<u32>(s.table + seq + (<usize> b << 2));
    if (to == 0) continue;
    const from = <usize> load<u32>(a.table + seq + (<usize> b << 2)) + a.layer;
    for (let h = 0; h < a.kvHeads; h++) {
      const open = from + <usize> h * a.part * 2;
      const piece = to + s.layer + <usize> h * s.head;
      if (unit++ == mine) {
        sealKeys(a, s, h, open, piece, room);
        mine = atomic.add<i32>(next, 1);
      }
      if (unit++ == mine) {
        sealValues(a, s, open + a.part, piece + s.v, room);
        mine = atomic.add<i32>(next, 1);
      }
    }
  }
}
