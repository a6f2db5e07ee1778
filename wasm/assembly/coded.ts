// Attention's part over sealed blocks: scores of a block, and weighted sums of a
// split's blocks.
import { Attend, codesAt } from "./attention";
import { headerOf, scoreCoded, tileOf } from "./coded_scores";
import {
  largest,
  product,
  readScales,
  scaleAll,
  sumCoded,
  toWeights,
} from "./coded_sums";
import { HALF_SCALE } from "./lanes";
import { Room } from "./room";
import { rotateRow } from "./rotate";
import { SPLIT, weighHalf } from "./scores";
import {
  foldChannels,
  formBases,
  formCodes,
  formScales,
  groupOf,
  HALF,
  INT4,
  MOST,
  ROTATE_V,
  Sealed,
} from "./sealed";

/**
 * Scores of positions [t, end) of one block with all queries of a form, to `out`,
 * [query][SPLIT], where the split begins at `from`. Tiles nobody sees are left out.
 */
export function scoreBlock(
  a: Attend,
  room: Room,
  s: Sealed,
  piece: usize,
  t: i32,
  end: i32,
  from: i32,
  sink: i32,
  start: i32,
  nq: i32,
  form: usize,
  out: usize,
): void {
  const dim = a.dim, queries = room.queries, kind = s.kKind;
  const header = headerOf(kind, dim), tile = tileOf(kind, dim);
  let bases = formBases(form, queries, dim);
  if (kind == INT4) {
    foldChannels(piece, queries, dim, form, room.bases, room.kf);
    bases = room.bases;
  }
  const codes = formCodes(form, queries, dim);
  const scales = formScales(form, queries, dim);
  let k = piece + header + <usize> ((t % a.blockTokens) >> 3) * tile;
  for (; t < end; t += 8, k += tile) {
    if (t >= sink && t + 8 <= start) continue;
    for (let j = 0; j < nq; j += 4) {
      const at = <usize> j << 2;
      scoreCoded(
        kind,
        min(4, nq - j),
        codes + (<usize> (j * dim) << 1),
        form + (<usize> (j * dim) << 2),
        scales + at,
        bases + at,
        piece,
        k,
        dim,
        out + (<usize> (j * SPLIT + t - from) << 2),
      );
    }
  }
}

/** Adds one run of positions [from, to), multiples of blocks, of a split to `sums`. */
function sumRun(
  a: Attend,
  room: Room,
  s: Sealed,
  codes: usize,
  place: usize,
  from: i32,
  to: i32,
  nq: i32,
  sc: usize,
  sums: usize,
): void {
  const dim = a.dim, tokens = a.blockTokens, kind = s.vKind;
  const dims = groupOf(kind, dim), count = to - from;
  const line = <usize> dim << 2, four = kind == INT4;
  for (let g = 0; g * dims < dim; g++) {
    for (let t = from; t < to; t += tokens) {
      const at = <usize> (t - from) << 2, block = codesAt(room, s, codes, t / tokens);
      if (block) {
        readScales(kind, block + place, g, dim, tokens, room.factors + at, room.mins + at);
      } else {
        memory.fill(room.factors + at, 0, <usize> tokens << 2);
        if (four) memory.fill(room.mins + at, 0, <usize> tokens << 2);
      }
    }
    const top = largest(room.factors, count);
    if (top > 0) {
      scaleAll(room.factors, count, MOST / top * s.unit);
      for (let j = 0; j < nq; j += 4) {
        toWeights(
          sc + (<usize> (j * SPLIT) << 2),
          room.factors,
          count,
          room.weights + (<usize> (j * SPLIT) << 1),
        );
      }
      memory.fill(room.ints, 0, <usize> room.queries * line);
      for (let t = from; t < to; t += tokens) {
        const block = codesAt(room, s, codes, t / tokens);
        if (block == 0) continue;
        for (let j = 0; j < nq; j += 4) {
          const w = room.weights + (<usize> (j * SPLIT) << 1) +
            (<usize> (t - from) << 3);
          const o = room.ints + <usize> j * line;
          sumCoded(kind, min(4, nq - j), w, block + place, g, dim, tokens, o, line);
        }
      }
    }
    const k = f32x4.splat(top / MOST);
    // The weights may carry 2^112: their sum would overflow.
    if (four) scaleAll(room.mins, count, s.unit);
    for (let i = 0; i < nq; i++) {
      let base: f32 = 0;
      if (four) base = product(sc + (<usize> (i * SPLIT) << 2), room.mins, count);
      const add = f32x4.splat(base);
      const o = room.ints + <usize> i * line;
      const to = sums + <usize> i * line + (<usize> (g * dims) << 2);
      for (let d: usize = 0; d < <usize> dims << 2; d += 16) {
        let x = add;
        if (top > 0) {
          x = f32x4.add(f32x4.mul(f32x4.convert_i32x4_s(v128.load(o + d)), k), add);
        }
        v128.store(to + d, f32x4.add(v128.load(to + d), x));
      }
    }
  }
}

/**
 * Adds what the sealed blocks of [from, to) weigh to the split's sums. What a run is
 * scaled by depends on its blocks only, never on who else is in the tile.
 */
export function sumSealed(
  a: Attend,
  room: Room,
  s: Sealed,
  codes: usize,
  head: i32,
  from: i32,
  to: i32,
  sink: i32,
  start: i32,
  nq: i32,
): void {
  const dim = a.dim, tokens = a.blockTokens;
  const place = <usize> head * s.head + s.v;
  const aside = (s.flags & ROTATE_V) != 0 || s.vKind == HALF;
  const sums = aside ? room.sums : room.o;
  if (aside) memory.fill(sums, 0, <usize> (room.queries * dim) << 2);
  const run = max(s.run, tokens);
  for (let t = from; t < to; t += run) {
    const end = min(to, t + run);
    if (t >= sink && end <= start) continue;
    const sc = room.sc + (<usize> (t - from) << 2);
    if (s.vKind != HALF) {
      sumRun(a, room, s, codes, place, t, end, nq, sc, sums);
      continue;
    }
    for (let u = t; u < end; u += tokens) {
      const block = codesAt(room, s, codes, u / tokens);
      if (block == 0) continue;
      for (let j = 0; j < nq; j += 4) {
        const p = room.sc + (<usize> (j * SPLIT + u - from) << 2);
        const o = sums + (<usize> (j * dim) << 2);
        weighHalf(min(4, nq - j), p, block + place, dim, tokens, o);
      }
    }
  }
}

/** Brings sums that stand aside to the split's own. */
export function finishSealed(a: Attend, room: Room, s: Sealed, nq: i32): void {
  const rotated = (s.flags & ROTATE_V) != 0;
  if (!rotated && s.vKind != HALF) return;
  const line = <usize> a.dim << 2;
  const k = f32x4.splat(s.vKind == HALF ? HALF_SCALE * s.unit : 1);
  for (let i: usize = 0; i < <usize> nq; i++) {
    const from = room.sums + i * line, to = room.o + i * line;
    if (rotated) rotateRow(from, a.dim);
    for (let d: usize = 0; d < line; d += 16) {
      const x = f32x4.mul(v128.load(from + d), k);
      v128.store(to + d, f32x4.add(v128.load(to + d), x));
    }
  }
}
