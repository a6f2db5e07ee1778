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
import {
  EXP_LEAST,
  EXP_ROUND,
  EXP_TERMS,
  exp2of,
  exp2one,
  HALF_MASK,
  HALF_SCALE,
  halves,
  madd,
  max4,
  sum4,
} from "./lanes";

/** Positions in a split. */
// @ts-ignore: decorator
@inline export const SPLIT = 256;

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
  /** Addresses of: number of tiles, 1 if splits are spread over workers. */
  tileCount: usize;
  spread: usize;
  kvHeads: i32;
  group: i32;
  dim: i32;
  blockTokens: i32;
  /** Bytes from a block to this layer's part of it, and from part to part. */
  layer: usize;
  part: usize;
  /** Bytes of a value: 2 or 4. */
  size: usize;
  /** Workers' scratch, `scratchBytes` each. */
  scratch: usize;
  scratchBytes: usize;
  /** Partial results: [row][head][split]{ m, l, -, -, o [D] }. */
  partial: usize;
  splits: i32;
  rows: usize;
}

// @ts-ignore: decorator
@inline const EMPTY: f32 = -Infinity;

/** Four values at `p`: f32, or f16 less a factor of 2^112. */
// @ts-ignore: decorator
@inline
function four(size: usize, p: usize, high: bool, mask: v128): v128 {
  if (size == 4) return high ? v128.load(p, 16) : v128.load(p);
  const h = high ? v128.load16x4_s(p, 8) : v128.load16x4_s(p);
  return halves(h, mask);
}

/** Scores of up to four queries with eight positions; `q` is [D][4], out [4][SPLIT]. */
// @ts-ignore: decorator
@inline
function scoreQuad(
  n: i32,
  size: usize,
  q: usize,
  k: usize,
  dim: i32,
  out: usize,
): void {
  const mask = v128.load(HALF_MASK);
  let a0 = f32x4.splat(0), b0 = a0, a1 = a0, b1 = a0;
  let a2 = a0, b2 = a0, a3 = a0, b3 = a0;
  // Two dimensions a turn; their number is a multiple of eight.
  for (
    const end = q + (<usize> dim << 4);
    q < end;
    q += 32, k += size * 16
  ) {
    let u = four(size, k, false, mask), v = four(size, k, true, mask);
    let x = v128.load32_splat(q);
    a0 = madd(u, x, a0);
    b0 = madd(v, x, b0);
    if (n > 1) {
      x = v128.load32_splat(q, 4);
      a1 = madd(u, x, a1);
      b1 = madd(v, x, b1);
    }
    if (n > 2) {
      x = v128.load32_splat(q, 8);
      a2 = madd(u, x, a2);
      b2 = madd(v, x, b2);
    }
    if (n > 3) {
      x = v128.load32_splat(q, 12);
      a3 = madd(u, x, a3);
      b3 = madd(v, x, b3);
    }
    u = four(size, k + size * 8, false, mask);
    v = four(size, k + size * 8, true, mask);
    x = v128.load32_splat(q, 16);
    a0 = madd(u, x, a0);
    b0 = madd(v, x, b0);
    if (n > 1) {
      x = v128.load32_splat(q, 20);
      a1 = madd(u, x, a1);
      b1 = madd(v, x, b1);
    }
    if (n > 2) {
      x = v128.load32_splat(q, 24);
      a2 = madd(u, x, a2);
      b2 = madd(v, x, b2);
    }
    if (n > 3) {
      x = v128.load32_splat(q, 28);
      a3 = madd(u, x, a3);
      b3 = madd(v, x, b3);
    }
  }
  v128.store(out, a0);
  v128.store(out, b0, 16);
  if (n > 1) {
    v128.store(out, a1, SPLIT * 4);
    v128.store(out, b1, SPLIT * 4 + 16);
  }
  if (n > 2) {
    v128.store(out, a2, SPLIT * 8);
    v128.store(out, b2, SPLIT * 8 + 16);
  }
  if (n > 3) {
    v128.store(out, a3, SPLIT * 12);
    v128.store(out, b3, SPLIT * 12 + 16);
  }
}

// @ts-ignore: decorator
@inline
function score(
  n: i32,
  size: usize,
  q: usize,
  k: usize,
  dim: i32,
  out: usize,
): void {
  if (n == 4) scoreQuad(4, size, q, k, dim, out);
  else if (n == 3) scoreQuad(3, size, q, k, dim, out);
  else if (n == 2) scoreQuad(2, size, q, k, dim, out);
  else scoreQuad(1, size, q, k, dim, out);
}
function scoreHalf(n: i32, q: usize, k: usize, dim: i32, out: usize): void {
  score(n, 2, q, k, dim, out);
}
function scoreFloat(n: i32, q: usize, k: usize, dim: i32, out: usize): void {
  score(n, 4, q, k, dim, out);
}

/** Adds `count` positions' V, weighted, to up to four queries; `p` is [4][SPLIT]. */
// @ts-ignore: decorator
@inline
function weighQuad(
  n: i32,
  size: usize,
  p: usize,
  v: usize,
  dim: i32,
  count: i32,
  o: usize,
): void {
  const mask = v128.load(HALF_MASK);
  const row = <usize> dim * size, line = <usize> dim << 2;
  for (let d = 0; d < dim; d += 8) {
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
    let w = p, x = v;
    const end = p + (<usize> count << 2);
    for (; w + 4 < end; w += 8, x += row * 2) {
      let s = four(size, x, false, mask), t = four(size, x, true, mask);
      let y = v128.load32_splat(w);
      a0 = madd(s, y, a0);
      b0 = madd(t, y, b0);
      if (n > 1) {
        y = v128.load32_splat(w, SPLIT * 4);
        a1 = madd(s, y, a1);
        b1 = madd(t, y, b1);
      }
      if (n > 2) {
        y = v128.load32_splat(w, SPLIT * 8);
        a2 = madd(s, y, a2);
        b2 = madd(t, y, b2);
      }
      if (n > 3) {
        y = v128.load32_splat(w, SPLIT * 12);
        a3 = madd(s, y, a3);
        b3 = madd(t, y, b3);
      }
      s = four(size, x + row, false, mask);
      t = four(size, x + row, true, mask);
      y = v128.load32_splat(w, 4);
      a0 = madd(s, y, a0);
      b0 = madd(t, y, b0);
      if (n > 1) {
        y = v128.load32_splat(w, SPLIT * 4 + 4);
        a1 = madd(s, y, a1);
        b1 = madd(t, y, b1);
      }
      if (n > 2) {
        y = v128.load32_splat(w, SPLIT * 8 + 4);
        a2 = madd(s, y, a2);
        b2 = madd(t, y, b2);
      }
      if (n > 3) {
        y = v128.load32_splat(w, SPLIT * 12 + 4);
        a3 = madd(s, y, a3);
        b3 = madd(t, y, b3);
      }
    }
    if (w < end) {
      let s = four(size, x, false, mask), t = four(size, x, true, mask);
      let y = v128.load32_splat(w);
      a0 = madd(s, y, a0);
      b0 = madd(t, y, b0);
      if (n > 1) {
        y = v128.load32_splat(w, SPLIT * 4);
        a1 = madd(s, y, a1);
        b1 = madd(t, y, b1);
      }
      if (n > 2) {
        y = v128.load32_splat(w, SPLIT * 8);
        a2 = madd(s, y, a2);
        b2 = madd(t, y, b2);
      }
      if (n > 3) {
        y = v128.load32_splat(w, SPLIT * 12);
        a3 = madd(s, y, a3);
        b3 = madd(t, y, b3);
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
    o += 32;
    v += size * 8;
  }
}

// @ts-ignore: decorator
@inline
function weigh(
  n: i32,
  size: usize,
  p: usize,
  v: usize,
  dim: i32,
  count: i32,
  o: usize,
): void {
  if (n == 4) weighQuad(4, size, p, v, dim, count, o);
  else if (n == 3) weighQuad(3, size, p, v, dim, count, o);
  else if (n == 2) weighQuad(2, size, p, v, dim, count, o);
  else weighQuad(1, size, p, v, dim, count, o);
}
function weighHalf(
  n: i32,
  p: usize,
  v: usize,
  dim: i32,
  count: i32,
  o: usize,
): void {
  weigh(n, 2, p, v, dim, count, o);
}
function weighFloat(
  n: i32,
  p: usize,
  v: usize,
  dim: i32,
  count: i32,
  o: usize,
): void {
  weigh(n, 4, p, v, dim, count, o);
}

/** Copies `n` (a multiple of 8) f16 to f32, less a factor of 2^112. */
function spreadHalves(from: usize, to: usize, n: usize): void {
  const mask = v128.load(HALF_MASK);
  for (const end = from + n * 2; from < end; from += 16, to += 32) {
    v128.store(to, four(2, from, false, mask));
    v128.store(to, four(2, from, true, mask), 16);
  }
}

/**
 * Scores of one query over a split, base 2, become softmax weights in place; the
 * largest goes to `state`, the sum of the weights to `state + 4`.
 */
function soften(
  s: usize,
  first: i32,
  count: i32,
  sink: i32,
  start: i32,
  position: i32,
  factor: f32,
  state: usize,
): void {
  const end = s + (<usize> count << 2);
  let top = f32x4.splat(EMPTY);
  if (start <= first && position >= first + count - 1) {
    for (let p = s; p < end; p += 16) top = f32x4.max(top, v128.load(p));
  } else {
    const none = top, four = i32x4.splat(4);
    const vSink = i32x4.splat(sink), vStart = i32x4.splat(start);
    const vPos = i32x4.splat(position);
    let index = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
    for (let p = s; p < end; p += 16) {
      const seen = v128.and(
        i32x4.le_s(index, vPos),
        v128.or(i32x4.ge_s(index, vStart), i32x4.lt_s(index, vSink)),
      );
      const x = v128.bitselect(v128.load(p), none, seen);
      v128.store(p, x);
      top = f32x4.max(top, x);
      index = i32x4.add(index, four);
    }
  }
  const m = max4(top);
  store<f32>(state, m);
  const base = f32x4.splat(m == EMPTY ? 0 : m), f = f32x4.splat(factor);
  const least = v128.load(EXP_LEAST), round = v128.load(EXP_ROUND);
  const c5 = v128.load(EXP_TERMS), c4 = v128.load(EXP_TERMS, 16);
  const c3 = v128.load(EXP_TERMS, 32), c2 = v128.load(EXP_TERMS, 48);
  const c1 = v128.load(EXP_TERMS, 64), c0 = v128.load(EXP_TERMS, 80);
  let sum = f32x4.splat(0);
  for (let p = s; p < end; p += 16) {
    const x = f32x4.sub(v128.load(p), base);
    const e = exp2of(x, least, round, c5, c4, c3, c2, c1, c0);
    sum = f32x4.add(sum, e);
    v128.store(p, f32x4.mul(e, f));
  }
  store<f32>(state, sum4(sum), 4);
}

/** Folds partial result `b` { m, l, o } into `a`: the one place where splits meet. */
function fold(a: usize, ao: usize, b: usize, bo: usize, dim: i32): void {
  const bm = load<f32>(b);
  if (bm == EMPTY) return;
  const am = load<f32>(a), m = max(am, bm);
  const ka = exp2one(am - m), kb = exp2one(bm - m);
  store<f32>(a, m);
  store<f32>(a, load<f32>(a, 4) * ka + load<f32>(b, 4) * kb, 4);
  const va = f32x4.splat(ka), vb = f32x4.splat(kb);
  for (let i: usize = 0; i < <usize> dim << 2; i += 16) {
    v128.store(
      ao + i,
      madd(v128.load(bo + i), vb, f32x4.mul(v128.load(ao + i), va)),
    );
  }
}

function finish(state: usize, o: usize, out: usize, dim: i32): void {
  const l = load<f32>(state, 4);
  const k = f32x4.splat(l > 0 ? <f32> 1 / l : 0);
  for (let i: usize = 0; i < <usize> dim << 2; i += 16) {
    v128.store(out + i, f32x4.mul(v128.load(o + i), k));
  }
}

/** One split of one tile and head: states to `st` {m, l}[query], sums to `o` [query][D]. */
function split(
  a: Attend,
  row: i32,
  rows: i32,
  head: i32,
  from: i32,
  qt: usize,
  sc: usize,
  kf: usize,
  st: usize,
  o: usize,
): void {
  const dim = a.dim, group = a.group, nq = rows * group;
  const quads = (nq + 3) >> 2, half = a.size == 2, many = quads > 1;
  const last = load<i32>(a.positions + (<usize> (row + rows - 1) << 2));
  let start = i32.MAX_VALUE, sink = 0;
  for (let r = 0; r < rows; r++) {
    const i = <usize> (row + r) << 2;
    start = min(start, load<i32>(a.starts + i));
    sink = max(sink, load<i32>(a.sinks + i));
  }
  const to = min(from + SPLIT, last + 1);
  const table = a.table +
    <usize> load<i32>(a.seqs + (<usize> row << 2)) * a.tableStride;
  const place = a.layer + <usize> head * a.part * 2, vHead = a.part;
  const tokens = a.blockTokens;

  for (let t = from; t < to; t += 8) {
    if (t >= sink && t + 8 <= start) continue;
    let k = <usize> load<u32>(table + (<usize> (t / tokens) << 2)) + place +
      <usize> (t % tokens) * dim * a.size;
    if (half && many) {
      spreadHalves(k, kf, <usize> dim * 8);
      k = kf;
    }
    for (let j = 0; j < quads; j++) {
      const q = qt + (<usize> (j * dim) << 4);
      const s = sc + (<usize> (j * SPLIT * 4 + t - from) << 2);
      const n = min(4, nq - j * 4);
      if (half && !many) scoreHalf(n, q, k, dim, s);
      else scoreFloat(n, q, k, dim, s);
    }
  }
  const count = (to - from + 3) & ~3;
  for (let i = 0; i < nq; i++) {
    const r = <usize> (row + i / group) << 2;
    soften(
      sc + (<usize> (i * SPLIT) << 2),
      from,
      count,
      load<i32>(a.sinks + r),
      load<i32>(a.starts + r),
      load<i32>(a.positions + r),
      half ? HALF_SCALE : 1,
      st + (<usize> i << 3),
    );
  }
  memory.fill(o, 0, <usize> (quads * 4 * dim) << 2);
  for (let t = from; t < to;) {
    const end = min(to, t - t % tokens + tokens);
    if (t >= sink && end <= start) {
      t = end;
      continue;
    }
    // Positions nobody sees may lie in released blocks, or hold anything at all.
    const first = t >= sink ? max(t, start) : t;
    const stop = t < sink && end < start ? min(end, max(sink, t)) : end;
    let v = <usize> load<u32>(table + (<usize> (first / tokens) << 2)) + place + vHead +
      <usize> (first % tokens) * dim * a.size;
    if (half && many) {
      spreadHalves(v, kf, <usize> (stop - first) * dim);
      v = kf;
    }
    for (let j = 0; j < quads; j++) {
      const p = sc + (<usize> (j * SPLIT * 4 + first - from) << 2);
      const n = min(4, nq - j * 4), sum = o + (<usize> (j * 4 * dim) << 2);
      if (half && !many) weighHalf(n, p, v, dim, stop - first, sum);
      else weighFloat(n, p, v, dim, stop - first, sum);
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

/** `next` is the address where units are counted as they are taken. */
export function attend(
  a: Attend,
  thread: i32,
  next: usize,
): void {
  const tiles = load<i32>(a.tileCount), spread = load<i32>(a.spread) != 0;
  const dim = a.dim, group = a.group;
  const line = <usize> (dim + 4) << 2;
  let unit = 0, mine = atomic.add<i32>(next, 1);
  for (let t = 0; t < tiles; t++) {
    const row = load<i32>(a.tiles + (<usize> t << 3));
    const rows = load<i32>(a.tiles + (<usize> t << 3), 4);
    const nq = rows * group, pad = (nq + 3) & ~3;
    const last = load<i32>(a.positions + (<usize> (row + rows - 1) << 2));
    let start = i32.MAX_VALUE, sink = 0;
    for (let r = 0; r < rows; r++) {
      const i = <usize> (row + r) << 2;
      start = min(start, load<i32>(a.starts + i));
      sink = max(sink, load<i32>(a.sinks + i));
    }
    const qt = a.scratch + <usize> thread * a.scratchBytes;
    const sc = qt + (<usize> (pad * dim) << 2);
    const o = sc + (<usize> (pad * SPLIT) << 2);
    const st = o + (<usize> (pad * dim) << 2);
    const acc = st + (<usize> pad << 3);
    const kf = acc + <usize> pad * line;
    for (let h = 0; h < a.kvHeads; h++) {
      if (!spread) {
        if (unit++ != mine) continue;
        mine = atomic.add<i32>(next, 1);
      }
      let ready = false;
      for (let s = 0; s * SPLIT <= last; s++) {
        if (!sees(sink, start, s * SPLIT)) continue;
        if (spread) {
          if (unit++ != mine) continue;
          mine = atomic.add<i32>(next, 1);
        }
        if (!ready) {
          gather(a, row, rows, h, qt);
          if (!spread) {
            for (let i = 0; i < nq; i++) {
              const to = acc + <usize> i * line;
              store<f32>(to, EMPTY);
              store<f32>(to, 0, 4);
              memory.fill(to + 16, 0, <usize> dim << 2);
            }
          }
          ready = true;
        }
        split(a, row, rows, h, s * SPLIT, qt, sc, kf, st, o);
        for (let i = 0; i < nq; i++) {
          const from = o + (<usize> (i * dim) << 2), state = st + (<usize> i << 3);
          if (spread) {
            const to = a.partial +
              <usize> (((row + i / group) * a.kvHeads * group + h * group +
                      i % group) * a.splits + s) * line;
            store<u64>(to, load<u64>(state));
            memory.copy(to + 16, from, <usize> dim << 2);
          } else {
            const to = acc + <usize> i * line;
            fold(to, to + 16, state, from, dim);
          }
        }
      }
      if (spread) continue;
      for (let i = 0; i < nq; i++) {
        const from = acc + <usize> i * line;
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
}

/** Folds the partial results of one row into its place in `out`. */
export function mergeRow(a: Attend, row: i32, thread: i32): void {
  if (load<i32>(a.spread) == 0) return;
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
