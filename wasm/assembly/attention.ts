// Attention over block tables: scores, softmax and weighted sum in splits of 256
// positions, folded in ascending order.
//
// A block of T positions, E bytes a value (2: f16, 4: f32), has two parts for each
// layer and head; parts of a slab's blocks lie together (SlabLayout in core/backend.ts):
//
// ```text
//  part 2h      K  [T/8][D]{ 8 positions }   a lane is a position: no sum crosses lanes
//  part 2h + 1  V  [T][D]                    a lane is a dimension
// ```
// A unit is a tile of rows of one sequence, one K/V head and, when rows are few,
// one split. All query heads that share the K/V head go together: "queries" are
// the pairs (row, head of the group), in quads of four.
//
// A query's arithmetic depends on nothing but its own position: its splits start
// at fixed positions, positions it cannot see weigh exactly 0, and partial results
// merge in ascending order whether one worker held them all or many.
//
// Where a layer's full blocks are sealed (sealed.ts), a tile's rows stand in one block,
// which is read open, and earlier ones are read as codes.
//
// Blocks that are not in this memory are read segment by segment (stream.ts); the fold
// is the same.
//
// A worker's scratch is drawn in room.ts.
import { barrier } from "./barrier";
import { softCap } from "./cap";
import { HALF_SCALE } from "./lanes";
import { finishSealed, scoreBlock, sumSealed } from "./coded";
import { Room } from "./room";
import {
  scoreFloat,
  scoreHalf,
  SPLIT,
  spreadHalves,
  weighFloat,
  weighHalf,
} from "./scores";
import { makeForm, Sealed } from "./sealed";
import { scoreSinks, turnBack } from "./sinks";
import { EMPTY, finish, fold, soften } from "./softmax";
import { release, slotOf, Stream } from "./stream";

@unmanaged
export class Attend {
  kind: i32;
  flags: i32;
  /** Queries, scaled for scores of base 2: [row][head][D], `stride` bytes a row. */
  q: usize;
  stride: usize;
  /** Results, `outStride` bytes a row. */
  out: usize;
  outStride: usize;
  table: usize;
  tableStride: usize;
  starts: usize;
  sinks: usize;
  positions: usize;
  seqs: usize;
  /** Tiles of rows: pairs (first row, rows). */
  tiles: usize;
  /** Address of two words: number of tiles, 1 if splits are spread over workers. */
  tileCount: usize;
  /** Soft cap of scores, of base 2 as they are; 0 for none. */
  cap: f32;
  kvHeads: i32;
  group: i32;
  dim: i32;
  blockTokens: i32;
  /** Bytes from a block to this layer's part of it, and from part to part. */
  layer: usize;
  part: usize;
  /** Bytes of a value: 2 or 4. */
  size: usize;
  /** Workers' scratch, `scratchBytes` each; its first bytes are a Room. */
  scratch: usize;
  scratchBytes: usize;
  /** Partial results: [row][head][split]{ m, l, -, -, o [D] }. */
  partial: usize;
  splits: i32;
  /** By how many positions each row's queries are turned back for its sinks. */
  backs: usize;
  /** The layer's rope, an Angles; flags say which values pair. */
  angles: usize;
  /** Sinks begin here, by row. */
  firsts: usize;
  /** A Sealed; 0 where blocks stay open. */
  sealed: usize;
  /** A Stream; 0 where all blocks are in this memory. */
  stream: usize;
}

/** This layer's part of the sealed form of block `b` in `table`; 0: it has none. */
// @ts-ignore: decorator
@inline
export function codesAt(room: Room, s: Sealed, table: usize, b: i32): usize {
  if (table == 0) return 0;
  const entry = <usize> load<u32>(table + (<usize> b << 2));
  if (entry == 0) return 0;
  return entry & 1 ? room.slot + entry - 1 : entry + s.layer;
}

/**
 * One split of one tile and head: states to `st` {m, l}[query], sums to `o` [query][D].
 * `turned`: queries are turned back for positions of this split.
 */
function split(
  a: Attend,
  room: Room,
  row: i32,
  rows: i32,
  head: i32,
  from: i32,
  turned: bool,
): void {
  const dim = a.dim, group = a.group, nq = rows * group;
  const quads = (nq + 3) >> 2, half = a.size == 2, many = quads > 1;
  const last = load<i32>(a.positions + (<usize> (row + rows - 1) << 2));
  let start = i32.MAX_VALUE, sink = 0, first = i32.MAX_VALUE;
  for (let r = 0; r < rows; r++) {
    const i = <usize> (row + r) << 2, end = load<i32>(a.sinks + i);
    start = min(start, load<i32>(a.starts + i));
    sink = max(sink, end);
    if (end > 0) first = min(first, load<i32>(a.firsts + i));
  }
  const to = min(from + SPLIT, last + 1);
  const seq = <usize> load<i32>(a.seqs + (<usize> row << 2)) * a.tableStride;
  const table = a.table + seq;
  const s = changetype<Sealed>(a.sealed);
  const codes = a.sealed ? s.table + seq : 0;
  const place = a.layer + <usize> head * a.part * 2;
  const tokens = a.blockTokens, own = last - last % tokens;
  // In a slot a block's parts have no others between them.
  const alone = <usize> (tokens * dim) * a.size;
  const sc = room.sc, o = room.o, kf = room.kf;

  let coded = false;
  for (let t = from; t < to;) {
    const b = t / tokens, end = min(to, (b + 1) * tokens);
    const block = t < own ? codesAt(room, s, codes, b) : 0;
    if (block) {
      if (t < sink || end > start) {
        const piece = block + <usize> head * s.head;
        scoreBlock(a, room, s, piece, t, end, from, sink, start, nq, room.form, sc);
        coded = true;
      }
      t = end;
      continue;
    }
    const entry = <usize> load<u32>(table + (<usize> b << 2));
    const base = entry & 1
      ? room.slot + entry - 1 + <usize> head * alone * 2
      : entry + place;
    for (; t < end; t += 8) {
      if (t >= sink && t + 8 <= start) continue;
      let k = base + <usize> (t % tokens) * dim * a.size;
      if (half && many) {
        spreadHalves(k, kf, <usize> dim * 8);
        k = kf;
      }
      for (let j = 0; j < quads; j++) {
        const q = room.qt + (<usize> (j * dim) << 4);
        const to = sc + (<usize> (j * SPLIT * 4 + t - from) << 2);
        const n = min(4, nq - j * 4);
        if (half && !many) scoreHalf(n, q, k, dim, to);
        else scoreFloat(n, q, k, dim, to);
      }
    }
  }
  if (turned) {
    scoreSinks(a, room, row, rows, from, min(sink, to), table, codes, place, head, own);
  }
  const count = (to - from + 3) & ~3;
  if (a.cap != 0) {
    for (let i = 0; i < nq; i++) softCap(sc + (<usize> (i * SPLIT) << 2), count, 1, a.cap);
  }
  for (let i = 0; i < nq; i++) {
    const r = <usize> (row + i / group) << 2;
    soften(
      sc + (<usize> (i * SPLIT) << 2),
      from,
      count,
      load<i32>(a.firsts + r),
      load<i32>(a.sinks + r),
      load<i32>(a.starts + r),
      load<i32>(a.positions + r),
      half ? HALF_SCALE : 1,
      room.st + (<usize> i << 3),
    );
  }
  memory.fill(o, 0, <usize> (quads * 4 * dim) << 2);
  if (coded) {
    sumSealed(a, room, s, codes, head, from, min(to, own), sink, start, nq);
    finishSealed(a, room, s, nq);
  }
  for (let t = from; t < to;) {
    const end = min(to, t - t % tokens + tokens);
    // Positions nobody sees may lie in released blocks, or hold anything at all. Rows
    // that see no sinks may begin before those of others.
    const begin = t >= start ? t : max(t, t < sink ? min(first, start) : start);
    const stop = t < sink && end < start ? min(end, sink) : end;
    const open = t >= own || codesAt(room, s, codes, t / tokens) == 0;
    if (open && begin < stop && (t < sink || end > start)) {
      const entry = <usize> load<u32>(table + (<usize> (begin / tokens) << 2));
      let v = <usize> (begin % tokens) * dim * a.size + (entry & 1
        ? room.slot + entry - 1 + <usize> head * alone * 2 + alone
        : entry + place + a.part);
      if (half && many) {
        spreadHalves(v, kf, <usize> (stop - begin) * dim);
        v = kf;
      }
      for (let j = 0; j < quads; j++) {
        const p = sc + (<usize> (j * SPLIT * 4 + begin - from) << 2);
        const n = min(4, nq - j * 4), sum = o + (<usize> (j * 4 * dim) << 2);
        if (half && !many) weighHalf(n, p, v, dim, stop - begin, sum);
        else weighFloat(n, p, v, dim, stop - begin, sum);
      }
    }
    t = end;
  }
}

// @ts-ignore: decorator
@inline
function sees(sink: i32, start: i32, from: i32): bool {
  return from < sink || from + SPLIT > start;
}

/** Lays the queries of a tile out as quads: [quad][D]{ 4 queries }. */
function gather(a: Attend, row: i32, rows: i32, head: i32, qt: usize): void {
  const group = a.group, nq = rows * group, dim = a.dim;
  for (let i = 0; i < nq; i++) {
    let from = a.q + <usize> (row + i / group) * a.stride +
      (<usize> ((head * group + i % group) * dim) << 2);
    let to = qt + (<usize> ((i >> 2) * dim * 4 + (i & 3)) << 2);
    for (let d = 0; d < dim; d++, from += 4, to += 16) {
      store<f32>(to, load<f32>(from));
    }
  }
}

/** Sums of query `i` of a tile, where they are kept from segment to segment. */
// @ts-ignore: decorator
@inline
function kept(a: Attend, s: Stream, row: i32, head: i32, i: i32, line: usize): usize {
  const group = a.group;
  const at = (row + i / group) * a.kvHeads * group + head * group + i % group;
  return s.state + <usize> at * line;
}

/** `next` is the address where units are counted as they are taken. */
export function attend(
  a: Attend,
  thread: i32,
  threads: i32,
  sync: usize,
  next: usize,
): void {
  const tiles = load<i32>(a.tileCount);
  const spread = load<i32>(a.tileCount, 4) != 0;
  const dim = a.dim, group = a.group;
  const line = <usize> (dim + 4) << 2;
  const stream = changetype<Stream>(a.stream);
  const segments = a.stream ? load<i32>(stream.segments) : 0;
  const room = changetype<Room>(a.scratch + <usize> thread * a.scratchBytes);
  let unit = 0, mine = atomic.add<i32>(next, 1);
  for (let k = 0; k <= segments; k++) {
    let low = 0, high = i32.MAX_VALUE;
    if (segments > 0) low = k * stream.splits;
    if (k < segments) {
      high = low + stream.splits;
      room.slot = slotOf(stream, segments, k);
    }
    for (let t = 0; t < tiles; t++) {
      const row = load<i32>(a.tiles + (<usize> t << 3));
      const rows = load<i32>(a.tiles + (<usize> t << 3), 4);
      const nq = rows * group, pad = (nq + 3) & ~3;
      const last = load<i32>(a.positions + (<usize> (row + rows - 1) << 2));
      let start = i32.MAX_VALUE, sink = 0, back = 0;
      for (let r = 0; r < rows; r++) {
        const i = <usize> (row + r) << 2;
        start = min(start, load<i32>(a.starts + i));
        sink = max(sink, load<i32>(a.sinks + i));
        back = max(back, load<i32>(a.backs + i));
      }
      room.layOut(pad, dim);
      const acc = room.acc, o = room.o, st = room.st;
      for (let h = 0; h < a.kvHeads; h++) {
        if (!spread) {
          if (unit++ != mine) continue;
          mine = atomic.add<i32>(next, 1);
          if (k == 0) {
            for (let i = 0; i < nq; i++) {
              const to = segments > 0
                ? kept(a, stream, row, h, i, line)
                : acc + <usize> i * line;
              store<f32>(to, EMPTY);
              store<f32>(to, 0, 4);
              memory.fill(to + 16, 0, <usize> dim << 2);
            }
          }
        }
        let ready = false, turned = false;
        for (let s = low; s < high && s * SPLIT <= last; s++) {
          if (!sees(sink, start, s * SPLIT)) continue;
          if (spread) {
            if (unit++ != mine) continue;
            mine = atomic.add<i32>(next, 1);
          }
          if (!ready) {
            gather(a, row, rows, h, room.qt);
            if (a.sealed) {
              makeForm(changetype<Sealed>(a.sealed), h, room.qt, pad, dim, room.form);
            }
            ready = true;
          }
          const sinks = back > 0 && s * SPLIT < sink;
          if (sinks && !turned) {
            turnBack(a, row, rows, room.qt, room.qb, room.turns);
            if (a.sealed) {
              makeForm(changetype<Sealed>(a.sealed), h, room.qb, pad, dim, room.back);
            }
            turned = true;
          }
          split(a, room, row, rows, h, s * SPLIT, sinks);
          for (let i = 0; i < nq; i++) {
            const from = o + (<usize> (i * dim) << 2), state = st + (<usize> i << 3);
            if (spread) {
              const to = a.partial +
                <usize> (((row + i / group) * a.kvHeads * group + h * group +
                        i % group) * a.splits + s) * line;
              store<u64>(to, load<u64>(state));
              memory.copy(to + 16, from, <usize> dim << 2);
            } else {
              const to = segments > 0
                ? kept(a, stream, row, h, i, line)
                : acc + <usize> i * line;
              fold(to, to + 16, state, from, dim);
            }
          }
        }
        if (spread || k < segments) continue;
        for (let i = 0; i < nq; i++) {
          const from = segments > 0
            ? kept(a, stream, row, h, i, line)
            : acc + <usize> i * line;
          finish(
            from,
            from + 16,
            a.out + <usize> (row + i / group) * a.outStride +
              (<usize> ((h * group + i % group) * dim) << 2),
            dim,
          );
        }
      }
    }
    if (k < segments) {
      barrier(sync, threads);
      if (thread == 0) release(stream, segments, k);
    }
  }
}

/** Folds the partial results of one row into its place in `out`. */
export function mergeRow(a: Attend, row: i32, thread: i32): void {
  if (load<i32>(a.tileCount, 4) == 0) return;
  const dim = a.dim, heads = a.kvHeads * a.group;
  const line = <usize> (dim + 4) << 2, i = <usize> row << 2;
  const position = load<i32>(a.positions + i), start = load<i32>(a.starts + i);
  const sink = load<i32>(a.sinks + i);
  const acc = a.scratch + <usize> thread * a.scratchBytes;
  for (let h = 0; h < heads; h++) {
    store<f32>(acc, EMPTY);
    store<f32>(acc, 0, 4);
    memory.fill(acc + 16, 0, <usize> dim << 2);
    for (let s = 0; s * SPLIT <= position; s++) {
      if (!sees(sink, start, s * SPLIT)) continue;
      const from = a.partial + <usize> ((row * heads + h) * a.splits + s) * line;
      fold(acc, acc + 16, from, from + 16, dim);
    }
    finish(
      acc,
      acc + 16,
      a.out + <usize> row * a.outStride + (<usize> (h * dim) << 2),
      dim,
    );
  }
}
