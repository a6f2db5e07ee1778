// Rotary positions: queries and keys are turned, keys and values are stored.
import { toHalves } from "./lanes";
import { normTo } from "./norm";

/** Turns and stores one layer's queries, keys and values. */
@unmanaged
export class Turn {
  kind: i32;
  flags: i32;
  /** [row]{ q heads, k heads, v heads }, `stride` bytes a row. */
  x: usize;
  stride: usize;
  heads: i32;
  kvHeads: i32;
  dim: i32;
  /** Values that turn. */
  dims: i32;
  /** [row][dims/2]{ cos, sin }. */
  turns: usize;
  qNorm: usize;
  kNorm: usize;
  eps: f32;
  /** Scores' factor, times log2(e), and times 2^112 for an f16 cache. */
  scale: f32;
  table: usize;
  tableStride: usize;
  positions: usize;
  seqs: usize;
  blockTokens: i32;
  layer: usize;
  part: usize;
  size: usize;
  rows: usize;
  /** K and V rows may stand elsewhere than behind q. */
  k: usize;
  v: usize;
  /** Added first, f32 [head][D]; 0 for nothing. */
  qBias: usize;
  kBias: usize;
  vBias: usize;
}

/** Neighbouring values turn together instead of halves. */
// @ts-ignore: decorator
@inline export const NEIGHBOURS = 2;

function turnHead(a: Turn, p: usize, t: usize, factor: f32): void {
  const half = <usize> a.dims >> 1;
  if (a.flags & NEIGHBOURS) {
    for (let i: usize = 0; i < half; i++, t += 8) {
      const q = p + (i << 3), c = load<f32>(t), s = load<f32>(t, 4);
      const x = load<f32>(q), y = load<f32>(q, 4);
      store<f32>(q, x * c - y * s);
      store<f32>(q, x * s + y * c, 4);
    }
  } else {
    for (let i: usize = 0; i < half; i++, t += 8) {
      const q = p + (i << 2), r = q + (half << 2);
      const c = load<f32>(t), s = load<f32>(t, 4);
      const x = load<f32>(q), y = load<f32>(r);
      store<f32>(q, x * c - y * s);
      store<f32>(r, x * s + y * c);
    }
  }
  if (factor != 1) {
    const f = f32x4.splat(factor);
    for (let i: usize = 0; i < <usize> a.dim << 2; i += 16) {
      v128.store(p + i, f32x4.mul(v128.load(p + i), f));
    }
  }
}

/** Adds the bias of head `h` to its values at `p`, where there is one. */
// @ts-ignore: decorator
@inline
function addBias(p: usize, bias: usize, h: i32, dim: usize): void {
  if (bias == 0) return;
  const b = bias + <usize> h * (dim << 2);
  for (let i: usize = 0; i < dim << 2; i += 16) {
    v128.store(p + i, f32x4.add(v128.load(p + i), v128.load(b + i)));
  }
}

/** Stores four values `gap` bytes apart. */
// @ts-ignore: decorator
@inline
function place(size: usize, v: v128, to: usize, gap: usize): void {
  if (size == 4) {
    v128.store32_lane(to, v, 0);
    v128.store32_lane(to + gap, v, 1);
    v128.store32_lane(to + gap * 2, v, 2);
    v128.store32_lane(to + gap * 3, v, 3);
  } else {
    const h = toHalves(v);
    v128.store16_lane(to, h, 0);
    v128.store16_lane(to + gap, h, 2);
    v128.store16_lane(to + gap * 2, h, 4);
    v128.store16_lane(to + gap * 3, h, 6);
  }
}

/** Items are (row, head) pairs: q heads, then k heads, then v heads of a row. */
export function turnRows(a: Turn, from: i32, to: i32): void {
  const heads = a.heads + 2 * a.kvHeads, dim = <usize> a.dim;
  const half = <usize> a.dims >> 1, size = a.size;
  for (let i = from; i < to; i++) {
    const row = i / heads;
    let h = i - row * heads;
    const t = a.turns + <usize> row * (half << 3);
    if (h < a.heads) {
      const p = a.x + <usize> row * a.stride + <usize> h * (dim << 2);
      addBias(p, a.qBias, h, dim);
      if (a.qNorm) normTo(p, a.qNorm, p, dim, a.eps);
      turnHead(a, p, t, a.scale);
      continue;
    }
    h -= a.heads;
    const isK = h < a.kvHeads;
    if (!isK) h -= a.kvHeads;
    const p = (isK ? a.k : a.v) + <usize> row * a.stride +
      <usize> h * (dim << 2);
    addBias(p, isK ? a.kBias : a.vBias, h, dim);
    const seq = <usize> load<i32>(a.seqs + (<usize> row << 2));
    const position = load<i32>(a.positions + (<usize> row << 2));
    const offset = <usize> (position % a.blockTokens);
    let to = <usize> load<u32>(
      a.table + seq * a.tableStride +
        (<usize> (position / a.blockTokens) << 2),
    ) + a.layer + <usize> h * a.part * 2;
    if (isK) {
      if (a.kNorm) normTo(p, a.kNorm, p, dim, a.eps);
      turnHead(a, p, t, 1);
      to += ((offset >> 3) * dim * 8 + (offset & 7)) * size;
      for (let d: usize = 0; d < dim; d += 4) {
        place(size, v128.load(p + (d << 2)), to + d * 8 * size, 8 * size);
      }
    } else {
      to += a.part + offset * dim * size;
      for (let d: usize = 0; d < dim; d += 4) {
        place(size, v128.load(p + (d << 2)), to + d * size, size);
      }
    }
  }
}

/** Cosines and sines of each row's position for one kind of rope. */
@unmanaged
export class Angles {
  kind: i32;
  flags: i32;
  /** f64 [position / 64][half]{ cos, sin } and [position % 64][half]{ cos, sin }. */
  coarse: usize;
  fine: usize;
  half: usize;
  out: usize;
  positions: usize;
  rows: usize;
  /** What cosines and sines of rows are multiplied by. */
  magnitude: f32;
}

/** magnitude · cos(a + b) and sin(a + b) of a position's parts, in f64, rounded once. */
export function anglesOf(
  coarse: usize,
  fine: usize,
  half: usize,
  position: i32,
  magnitude: f32,
  out: usize,
): void {
  let u = coarse + <usize> (position >> 6) * (half << 4);
  let v = fine + <usize> (position & 63) * (half << 4);
  const m = <f64> magnitude;
  for (const end = out + (half << 3); out < end; u += 16, v += 16, out += 8) {
    const c = load<f64>(u), s = load<f64>(u, 8);
    const d = load<f64>(v), t = load<f64>(v, 8);
    store<f32>(out, <f32> ((c * d - s * t) * m));
    store<f32>(out, <f32> ((s * d + c * t) * m), 4);
  }
}

export function angleRows(a: Angles, from: i32, to: i32): void {
  for (let r = from; r < to; r++) {
    const position = load<i32>(a.positions + (<usize> r << 2));
    const out = a.out + <usize> r * (a.half << 3);
    anglesOf(a.coarse, a.fine, a.half, position, a.magnitude, out);
  }
}
