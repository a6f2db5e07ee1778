// Low-rank adapters: what some rows add to the products of others' weights.
//
// ```text
//  x  [tile][input]{ 4 rows } f32 ─ A ─▶ t  [row][stride] ─ B ─▶ out += …
//  A  [panel][input]{ 8 ranks }         B  [panel][rank]{ 8 outputs }
// ```
// One Low record before the products that share an input fills their part of t; a
// product's Delta adds to the panels that were just computed. Sums of a row run in one
// order, alone or four at a time, and rows without the adapter are not touched.
import { weights } from "./floats";
import { BF16, F16, F32 } from "./kinds";
import { madd } from "./lanes";

/** Rows of a unit of work of a Low record. */
// @ts-ignore: decorator
@inline const CHUNK = 32;

/** What a step says of adapters. */
@unmanaged
export class Adapted {
  /** Whether any row has one. */
  active: i32;
  /** Adapters that are loaded. */
  count: i32;
  /** [sequence][adapter] f32, 0 where it has it not. */
  scales: usize;
  seqs: usize;
  /** Where Low writes, and bytes from one row of it to the next. */
  t: usize;
  stride: usize;
}

/** A's of the products that read one input; a record. */
@unmanaged
export class Low {
  kind: i32;
  flags: i32;
  adapted: usize;
  /** Down[count]. */
  downs: usize;
  count: i32;
  /** Of all of them. */
  panels: i32;
  x: usize;
  inputs: usize;
  rows: usize;
  /** Which rows of the batch they are: addresses of i32 numbers, 0 for row i itself. */
  pick: usize;
}

/** One A. */
@unmanaged
class Down {
  adapter: i32;
  type: i32;
  w: usize;
  panels: i32;
  /** Its first panel, counted through all of the record. */
  first: i32;
  /** Bytes from the start of a row of t. */
  t: usize;
  factor: f32;
}

/** What adapters add to one product: Up[count] follows. */
@unmanaged
export class Delta {
  adapted: usize;
  pick: usize;
  count: i32;
}

/** One B. */
@unmanaged
class Up {
  adapter: i32;
  type: i32;
  w: usize;
  rank: usize;
  t: usize;
}

/** Bytes of a Down, of an Up, and of what stands before Ups. */
// @ts-ignore: decorator
@inline const DOWN: usize = 32;
// @ts-ignore: decorator
@inline const UP: usize = 32;
// @ts-ignore: decorator
@inline const HEAD: usize = 32;

/** The scale of an adapter in the i-th row; 0: it has it not. */
// @ts-ignore: decorator
@inline
function scaleOf(a: Adapted, pick: usize, i: i32, adapter: i32): f32 {
  const row = pick ? load<i32>(pick + (<usize> i << 2)) : i;
  const seq = load<i32>(a.seqs + (<usize> row << 2));
  return load<f32>(a.scales + (<usize> (seq * a.count + adapter) << 2));
}

/** Whether four rows from `r` on have the adapter. */
// @ts-ignore: decorator
@inline
function all4(a: Adapted, pick: usize, r: i32, adapter: i32): bool {
  return scaleOf(a, pick, r, adapter) != 0 &&
    scaleOf(a, pick, r + 1, adapter) != 0 &&
    scaleOf(a, pick, r + 2, adapter) != 0 &&
    scaleOf(a, pick, r + 3, adapter) != 0;
}

/** Takes units (a panel, some rows) until none is left; `next` counts them. */
export function lowRows(a: Low, next: usize): void {
  const rows = load<i32>(a.rows), chunks = (rows + CHUNK - 1) / CHUNK;
  const units = a.panels * chunks;
  for (;;) {
    const unit = atomic.add<i32>(next, 1);
    if (unit >= units) return;
    const panel = unit / chunks, from = (unit - panel * chunks) * CHUNK;
    let d = changetype<Down>(a.downs);
    while (panel >= d.first + d.panels) {
      d = changetype<Down>(changetype<usize>(d) + DOWN);
    }
    const to = min(from + CHUNK, rows);
    switch (d.type) {
      case F32: lowPanel(F32, a, d, panel - d.first, from, to); break;
      case F16: lowPanel(F16, a, d, panel - d.first, from, to); break;
      case BF16: lowPanel(BF16, a, d, panel - d.first, from, to); break;
    }
  }
}

// @ts-ignore: decorator
@inline
function putLow(at: usize, c: v128, e: v128, scale: f32): void {
  const s = f32x4.splat(scale);
  v128.store(at, f32x4.mul(c, s));
  v128.store(at, f32x4.mul(e, s), 16);
}

// @ts-ignore: decorator
@inline
function lowPanel(
  type: i32,
  a: Low,
  d: Down,
  panel: i32,
  from: i32,
  to: i32,
): void {
  const s = changetype<Adapted>(a.adapted), pick = a.pick, n = a.inputs;
  const size: usize = type == F32 ? 32 : 16, adapter = d.adapter;
  const start = d.w + <usize> panel * n * size, end = start + n * size;
  const out = s.t + d.t + (<usize> panel << 5), stride = s.stride;
  for (let r = from; r < to;) {
    let x = a.x + <usize> (r >> 2) * n * 16;
    let at = out + <usize> r * stride;
    if ((r & 3) == 0 && r + 4 <= to && all4(s, pick, r, adapter)) {
      let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
      let e0 = c0, e1 = c0, e2 = c0, e3 = c0;
      for (let w = start; w < end; w += size, x += 16) {
        const u = weights(type, w), v = weights(type, w + (size >> 1));
        let t = v128.load32_splat(x);
        c0 = madd(u, t, c0);
        e0 = madd(v, t, e0);
        t = v128.load32_splat(x, 4);
        c1 = madd(u, t, c1);
        e1 = madd(v, t, e1);
        t = v128.load32_splat(x, 8);
        c2 = madd(u, t, c2);
        e2 = madd(v, t, e2);
        t = v128.load32_splat(x, 12);
        c3 = madd(u, t, c3);
        e3 = madd(v, t, e3);
      }
      const f = d.factor;
      putLow(at, c0, e0, f * scaleOf(s, pick, r, adapter));
      putLow(at += stride, c1, e1, f * scaleOf(s, pick, r + 1, adapter));
      putLow(at += stride, c2, e2, f * scaleOf(s, pick, r + 2, adapter));
      putLow(at += stride, c3, e3, f * scaleOf(s, pick, r + 3, adapter));
      r += 4;
      continue;
    }
    const scale = scaleOf(s, pick, r, adapter);
    if (scale != 0) {
      x += <usize> (r & 3) << 2;
      let c = f32x4.splat(0), e = c;
      for (let w = start; w < end; w += size, x += 16) {
        const t = v128.load32_splat(x);
        c = madd(weights(type, w), t, c);
        e = madd(weights(type, w + (size >> 1)), t, e);
      }
      putLow(at, c, e, d.factor * scale);
    }
    r++;
  }
}

/** Adds to panels [from, to) of a product's result; rows are `stride` bytes apart. */
export function addDelta(
  a: Delta,
  out: usize,
  stride: usize,
  rows: i32,
  from: i32,
  to: i32,
): void {
  if (load<i32>(a.adapted) == 0) return;
  let p = changetype<usize>(a) + HEAD;
  for (let i = 0; i < a.count; i++, p += UP) {
    const u = changetype<Up>(p);
    switch (u.type) {
      case F32: addUp(F32, a, u, out, stride, rows, from, to); break;
      case F16: addUp(F16, a, u, out, stride, rows, from, to); break;
      case BF16: addUp(BF16, a, u, out, stride, rows, from, to); break;
    }
  }
}

// @ts-ignore: decorator
@inline
function addTo(p: usize, c: v128, e: v128): void {
  v128.store(p, f32x4.add(v128.load(p), c));
  v128.store(p, f32x4.add(v128.load(p, 16), e), 16);
}

// @ts-ignore: decorator
@inline
function addUp(
  type: i32,
  a: Delta,
  u: Up,
  out: usize,
  stride: usize,
  rows: i32,
  from: i32,
  to: i32,
): void {
  const s = changetype<Adapted>(a.adapted), pick = a.pick, n = u.rank;
  const size: usize = type == F32 ? 32 : 16, adapter = u.adapter;
  const gap = s.stride, low = s.t + u.t;
  for (let r = 0; r < rows;) {
    const four = r + 4 <= rows && all4(s, pick, r, adapter);
    if (!four && scaleOf(s, pick, r, adapter) == 0) {
      r++;
      continue;
    }
    const t0 = low + <usize> r * gap, first = out + <usize> r * stride;
    for (let p = from; p < to; p++) {
      let w = u.w + <usize> p * n * size;
      const end = w + n * size;
      let at = first + (<usize> p << 5), t = t0;
      let c0 = f32x4.splat(0), e0 = c0;
      if (four) {
        let c1 = c0, c2 = c0, c3 = c0, e1 = c0, e2 = c0, e3 = c0;
        for (; w < end; w += size, t += 4) {
          const b = weights(type, w), v = weights(type, w + (size >> 1));
          let x = v128.load32_splat(t);
          c0 = madd(b, x, c0);
          e0 = madd(v, x, e0);
          x = v128.load32_splat(t + gap);
          c1 = madd(b, x, c1);
          e1 = madd(v, x, e1);
          x = v128.load32_splat(t + gap * 2);
          c2 = madd(b, x, c2);
          e2 = madd(v, x, e2);
          x = v128.load32_splat(t + gap * 3);
          c3 = madd(b, x, c3);
          e3 = madd(v, x, e3);
        }
        addTo(at, c0, e0);
        addTo(at += stride, c1, e1);
        addTo(at += stride, c2, e2);
        addTo(at += stride, c3, e3);
        continue;
      }
      for (; w < end; w += size, t += 4) {
        const x = v128.load32_splat(t);
        c0 = madd(weights(type, w), x, c0);
        e0 = madd(weights(type, w + (size >> 1)), x, e0);
      }
      addTo(at, c0, e0);
    }
    r += four ? 4 : 1;
  }
}
