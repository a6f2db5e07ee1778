// Operations on rows of activations: norms, quantisation, gates.
import { Attend, mergeRow } from "./attention";
import {
  EXP_LEAST,
  EXP_ROUND,
  EXP_TERMS,
  exp2of,
  madd,
  ROW_SCALE,
} from "./lanes";
import { normTo } from "./norm";

/** Where a row of activations is written for the matrices that read it. */
@unmanaged
export class Row {
  kind: i32;
  flags: i32;
  /** Rows of f32, `stride` bytes apart. */
  x: usize;
  stride: usize;
  /** Values in a row. */
  n: usize;
  xq: usize;
  xs: usize;
  xf: usize;
  xi: usize;
  x16: usize;
  /** f32 copy in tiles of four rows, for weights kept as floats. */
  xn: usize;
  rows: usize;
  /** Norm weight. */
  weight: usize;
  eps: f32;
  /** Added to x before the norm, itself normed by `after` if that is given. */
  y: usize;
  after: usize;
  /** Which row of x to read: address of i32 row numbers, -1 for none; 0 for row i itself. */
  pick: usize;
  /** Gate: the second factor, same stride. */
  up: usize;
  /** Attention record whose partial results are folded first. */
  attend: usize;
  /** Norm: what is added to x is multiplied by this. */
  scale: f32;
  /** What the step says of adapters that read the rows; 0: none do. */
  adapted: usize;
}

// @ts-ignore: decorator
@inline const QUANT = 2;
// @ts-ignore: decorator
@inline const FLOAT = 4;
// @ts-ignore: decorator
@inline const GELU = 8;

/** Eight-bit codes of the blocks [from, to) of row `r`, whose values stand at `src`. */
function quantise(a: Row, src: usize, r: i32, from: usize, to: usize): void {
  const nb = a.n >> 5, tile = <usize> (r >> 2) * nb, lane = <usize> (r & 3);
  const magnitude = i32x4.splat(0x7fffffff);
  for (let b = from; b < to; b++) {
    const p = src + (b << 7);
    let top = v128.and(v128.load(p), magnitude);
    for (let i: usize = 16; i < 128; i += 16) {
      top = f32x4.max(top, v128.and(v128.load(p + i), magnitude));
    }
    top = f32x4.max(top, v128.shuffle<i32>(top, top, 2, 3, 0, 1));
    const m = max(f32x4.extract_lane(top, 0), f32x4.extract_lane(top, 1));
    // Below 2^-120 the inverse would overflow: such a block is zeros.
    const scale: f32 = m < reinterpret<f32>(0x03800000) ? 0 : m / 127;
    const inverse = f32x4.splat(scale > 0 ? 1 / scale : 0);
    const at = tile + b;
    const q = a.xq + (at << 7) + (lane << 5);
    let lowSum = 0, highSum = 0;
    for (let i: usize = 0; i < 2; i++) {
      const s = p + (i << 6);
      const c0 = code(s, inverse), c1 = code(s + 16, inverse);
      const c2 = code(s + 32, inverse), c3 = code(s + 48, inverse);
      v128.store(
        q + (i << 4),
        i8x16.narrow_i16x8_s(
          i16x8.narrow_i32x4_s(c0, c1),
          i16x8.narrow_i32x4_s(c2, c3),
        ),
      );
      const t = i32x4.add(i32x4.add(c0, c1), i32x4.add(c2, c3));
      const sum = i32x4.extract_lane(t, 0) + i32x4.extract_lane(t, 1) +
        i32x4.extract_lane(t, 2) + i32x4.extract_lane(t, 3);
      if (i == 0) lowSum = sum;
      else highSum = sum;
    }
    const sum = lowSum + highSum, wide = scale * ROW_SCALE;
    const xs = a.xs + (at << 5) + (lane << 2);
    store<f32>(xs, wide);
    store<f32>(xs, wide * <f32> sum, 16);
    const xf = a.xf + (at << 5) + (lane << 2);
    store<f32>(xf, scale);
    store<f32>(xf, scale * <f32> sum, 16);
    store<i32>(a.xi + (at << 4) + (lane << 2), sum);
    const x16 = a.x16 + (at << 5) + (lane << 2);
    store<i32>(x16, lowSum);
    store<i32>(x16, highSum, 16);
  }
}

// @ts-ignore: decorator
@inline
function code(p: usize, inverse: v128): v128 {
  return i32x4.trunc_sat_f32x4_s(
    f32x4.nearest(f32x4.mul(v128.load(p), inverse)),
  );
}

/** Writes values [from, to) of row `r` in the forms that its readers want. */
function emit(a: Row, src: usize, r: i32, from: usize, to: usize): void {
  if (a.flags & QUANT) quantise(a, src, r, from >> 5, to >> 5);
  if ((a.flags & FLOAT) || (a.adapted && load<i32>(a.adapted))) {
    let p = a.xn + ((<usize> (r >> 2) * a.n + from) << 4) +
      (<usize> (r & 3) << 2);
    for (let i = from; i < to; i++, p += 16) {
      store<f32>(p, load<f32>(src + (i << 2)));
    }
  }
}

/** x += scale · norm(y), or scale · y; then norm(x) in its readers' forms. `scratch` holds one row. */
export function normRows(a: Row, scratch: usize, from: i32, to: i32): void {
  for (let r = from; r < to; r++) {
    const row = a.pick ? load<i32>(a.pick + (<usize> r << 2)) : r;
    if (row < 0) continue;
    const x = a.x + <usize> row * a.stride;
    if (a.y) {
      const y = a.y + <usize> row * a.stride;
      if (a.after) normTo(y, a.after, scratch, a.n, a.eps);
      const added = a.after ? scratch : y, k = f32x4.splat(a.scale);
      for (let i: usize = 0; i < a.n << 2; i += 16) {
        const z = f32x4.mul(v128.load(added + i), k);
        v128.store(x + i, f32x4.add(v128.load(x + i), z));
      }
    }
    if (a.weight) {
      normTo(x, a.weight, scratch, a.n, a.eps);
      emit(a, scratch, r, 0, a.n);
    }
  }
}

/** Folds what attention left in parts, then writes rows in their readers' forms. */
export function mergeRows(a: Row, thread: i32, from: i32, to: i32): void {
  for (let r = from; r < to; r++) {
    mergeRow(changetype<Attend>(a.attend), r, thread);
    emit(a, a.x + <usize> r * a.stride, r, 0, a.n);
  }
}

/** x = act(x) · up for values [from, to) of every row, in its readers' forms. */
export function gateRows(a: Row, from: usize, to: usize): void {
  const rows = load<i32>(a.rows), gelu = (a.flags & GELU) != 0;
  const one = f32x4.splat(1), zero = f32x4.splat(0);
  const toLog2 = f32x4.splat(-1.44269504), cubic = f32x4.splat(0.044715);
  const root = f32x4.splat(1.5957691216057308);
  const least = v128.load(EXP_LEAST), round = v128.load(EXP_ROUND);
  const c5 = v128.load(EXP_TERMS), c4 = v128.load(EXP_TERMS, 16);
  const c3 = v128.load(EXP_TERMS, 32), c2 = v128.load(EXP_TERMS, 48);
  const c1 = v128.load(EXP_TERMS, 64), c0 = v128.load(EXP_TERMS, 80);
  for (let r = 0; r < rows; r++) {
    const x = a.x + <usize> r * a.stride, up = a.up + <usize> r * a.stride;
    for (let i = from << 2; i < to << 2; i += 16) {
      const g = v128.load(x + i);
      // x / (1 + exp(-x)), or for the tanh form of GELU
      // x / (1 + exp(-2·sqrt(2/π)·(x + 0.044715·x³))). With e = exp(-|…|), which
      // cannot overflow, that is x / (1 + e) or x·e / (1 + e).
      let inner = g;
      if (gelu) {
        inner = f32x4.mul(madd(f32x4.mul(f32x4.mul(g, g), g), cubic, g), root);
      }
      const z = f32x4.mul(f32x4.abs(inner), toLog2);
      const e = exp2of(z, least, round, c5, c4, c3, c2, c1, c0);
      const top = v128.bitselect(e, one, f32x4.lt(inner, zero));
      const y = f32x4.mul(f32x4.div(top, f32x4.add(one, e)), g);
      v128.store(x + i, f32x4.mul(y, v128.load(up + i)));
    }
    emit(a, x, r, from, to);
  }
}
