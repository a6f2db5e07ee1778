// What sealed blocks of a layer look like, and queries in the form that their keys
// are read with.
//
// A sealed block of T positions holds, for each layer and head, a K piece and a V
// piece (codes in coded_scores.ts and coded_sums.ts):
//
// ```text
//  block   layer 0                         | layer 1 | …
//  layer   head 0            | head 1 | …
//  head    K piece | V piece                          each whole 16 bytes
// ```
// Keys are read by integer products: queries become 15-bit integers, fine enough
// that the loss is the codes' alone.
//
// ```text
//  a form, in the worker's scratch; `queries` are a tile's, whole quads
//  floats  queries × D × f32    [quad][D]{ 4 queries }, rotated where K is
//  codes   queries × D × i16    [quad][D/2]{ 4 queries × 2 dimensions }
//  scales  queries × f32        what a unit of a query's codes is worth
//  bases   queries × f32        added to its scores
// ```
import { madd } from "./lanes";
import { rotateQuads } from "./rotate";

@unmanaged
export class Sealed {
  /** Block table of the sealed forms; rows as long as those of the open ones. */
  table: usize;
  /** Bytes from a block to this layer's part, of a head, and from K to V. */
  layer: usize;
  head: usize;
  v: usize;
  /** Formats; see kinds of coded pieces below. */
  kKind: i32;
  vKind: i32;
  flags: i32;
  /** Positions whose V is summed with weights of one scale: a split, or a block. */
  run: i32;
  /** What queries and softmax weights carry too much: 2^-112 for an f16 cache, or 1. */
  unit: f32;
  /** What was taken from every key, f32 [head][D]; 0 for nothing. */
  centre: usize;
}

// Kinds of coded pieces.
// @ts-ignore: decorator
@inline export const INT8 = 1;
// @ts-ignore: decorator
@inline export const INT4 = 2;
// @ts-ignore: decorator
@inline export const NVFP4 = 3;
// @ts-ignore: decorator
@inline export const MXFP4 = 4;
// @ts-ignore: decorator
@inline export const HALF = 5;

// Flags of a sealed layer.
// @ts-ignore: decorator
@inline export const ROTATE_K = 1;
// @ts-ignore: decorator
@inline export const ROTATE_V = 2;

/** Largest magnitude of a query's or a weight's integer. */
// @ts-ignore: decorator
@inline export const MOST: f32 = 32767;

/** f32 that bf16 bits stand for. */
// @ts-ignore: decorator
@inline
export function fromBrain(p: usize): f32 {
  return reinterpret<f32>(<u32> load<u16>(p) << 16);
}

/** Dimensions that share one scale; of V where it is INT4. */
export function groupOf(kind: i32, dim: i32): i32 {
  if (kind == NVFP4) return 16;
  if (kind == MXFP4) return 32;
  const groups = (dim + 63) >> 6;
  return kind == INT4 && dim % (groups << 3) == 0 ? dim / groups : dim;
}

// @ts-ignore: decorator
@inline
function scalesOf(form: usize, queries: i32, dim: i32): usize {
  return form + <usize> (queries * dim) * 6;
}

/** Bytes of a form are queries × (6 D + 8). Address of its parts: */
// @ts-ignore: decorator
@inline
export function formCodes(form: usize, queries: i32, dim: i32): usize {
  return form + (<usize> (queries * dim) << 2);
}
// @ts-ignore: decorator
@inline
export function formScales(form: usize, queries: i32, dim: i32): usize {
  return scalesOf(form, queries, dim);
}
// @ts-ignore: decorator
@inline
export function formBases(form: usize, queries: i32, dim: i32): usize {
  return scalesOf(form, queries, dim) + (<usize> queries << 2);
}

/** Four queries, [D]{ 4 }, as 15-bit integers and their scales. */
function toCodes(q: usize, dim: i32, codes: usize, scales: usize): void {
  let top = f32x4.splat(0);
  const end = q + (<usize> dim << 4);
  for (let p = q; p < end; p += 16) top = f32x4.pmax(top, f32x4.abs(v128.load(p)));
  const most = f32x4.splat(MOST);
  v128.store(scales, f32x4.div(top, most));
  // No query of zeros divides by zero.
  const some = f32x4.gt(top, f32x4.splat(0));
  const k = v128.and(f32x4.div(most, top), some);
  const low = i32x4.splat(0xffff);
  for (let p = q; p < end; p += 32, codes += 16) {
    const a = i32x4.trunc_sat_f32x4_s(f32x4.nearest(f32x4.mul(v128.load(p), k)));
    const b = i32x4.trunc_sat_f32x4_s(
      f32x4.nearest(f32x4.mul(v128.load(p, 16), k)),
    );
    v128.store(codes, v128.or(v128.and(a, low), i32x4.shl(b, 16)));
  }
}

/** Makes the form of `queries` queries laid out as [quad][D]{ 4 } at `from`. */
export function makeForm(
  s: Sealed,
  head: i32,
  from: usize,
  queries: i32,
  dim: i32,
  form: usize,
): void {
  const unit = f32x4.splat(s.unit);
  const bases = formBases(form, queries, dim);
  const line = <usize> dim << 4;
  for (let j = 0; j < queries; j += 4) {
    const q = from + (<usize> (j * dim) << 2), to = form + (<usize> (j * dim) << 2);
    let base = f32x4.splat(0);
    for (let i: usize = 0; i < line; i += 16) {
      v128.store(to + i, f32x4.mul(v128.load(q + i), unit));
    }
    if (s.centre) {
      let c = s.centre + (<usize> (head * dim) << 2);
      for (let i: usize = 0; i < line; i += 16, c += 4) {
        base = madd(v128.load(to + i), v128.load32_splat(c), base);
      }
    }
    v128.store(bases + (<usize> j << 2), base);
    if (s.flags & ROTATE_K) rotateQuads(to, dim, 16);
    if (s.kKind == INT4 || s.kKind == HALF) continue;
    toCodes(
      to,
      dim,
      formCodes(form, queries, dim) + (<usize> (j * dim) << 1),
      formScales(form, queries, dim) + (<usize> j << 2),
    );
  }
}

/**
 * Folds the steps and minima of a block's channels into the form: codes and scales
 * are then the block's, and what the minima add goes to `bases`, [queries].
 * `room` has space for a quad of floats.
 */
export function foldChannels(
  piece: usize,
  queries: i32,
  dim: i32,
  form: usize,
  bases: usize,
  room: usize,
): void {
  const mins = piece + (<usize> dim << 1);
  for (let j = 0; j < queries; j += 4) {
    let q = form + (<usize> (j * dim) << 2);
    let base = v128.load(formBases(form, queries, dim) + (<usize> j << 2));
    for (let d: usize = 0; d < <usize> dim; d++, q += 16) {
      const x = v128.load(q);
      base = madd(x, f32x4.splat(fromBrain(mins + (d << 1))), base);
      v128.store(
        room + (d << 4),
        f32x4.mul(x, f32x4.splat(fromBrain(piece + (d << 1)))),
      );
    }
    v128.store(bases + (<usize> j << 2), base);
    toCodes(
      room,
      dim,
      formCodes(form, queries, dim) + (<usize> (j * dim) << 1),
      formScales(form, queries, dim) + (<usize> j << 2),
    );
  }
}
