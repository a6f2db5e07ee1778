// Softmax over splits: weights within one, and how partial results meet.
import {
  EXP_LEAST,
  EXP_ROUND,
  EXP_TERMS,
  exp2of,
  exp2one,
  madd,
  max4,
  sum4,
} from "./lanes";

// @ts-ignore: decorator
@inline export const EMPTY: f32 = -Infinity;

/**
 * Scores of one query over a split, base 2, become softmax weights in place; the
 * largest goes to `state`, the sum of the weights to `state + 4`.
 */
export function soften(
  s: usize,
  first: i32,
  count: i32,
  sinkFirst: i32,
  sink: i32,
  start: i32,
  position: i32,
  factor: f32,
  state: usize,
): void {
  const end = s + (<usize> count << 2);
  let top = f32x4.splat(EMPTY);
  if (start <= first && position >= first + count - 1) {
    for (let p = s; p < end; p += 16) top = f32x4.pmax(top, v128.load(p));
  } else {
    const none = top, four = i32x4.splat(4);
    const vSink = i32x4.splat(sink), vStart = i32x4.splat(start);
    const vPos = i32x4.splat(position), vFirst = i32x4.splat(sinkFirst);
    let index = i32x4.add(i32x4.splat(first), i32x4(0, 1, 2, 3));
    for (let p = s; p < end; p += 16) {
      const seen = v128.and(
        i32x4.le_s(index, vPos),
        v128.or(
          i32x4.ge_s(index, vStart),
          v128.and(i32x4.lt_s(index, vSink), i32x4.ge_s(index, vFirst)),
        ),
      );
      const x = v128.bitselect(v128.load(p), none, seen);
      v128.store(p, x);
      top = f32x4.pmax(top, x);
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
export function fold(a: usize, ao: usize, b: usize, bo: usize, dim: i32): void {
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

export function finish(state: usize, o: usize, out: usize, dim: i32): void {
  const l = load<f32>(state, 4);
  const k = f32x4.splat(l > 0 ? <f32> 1 / l : 0);
  for (let i: usize = 0; i < <usize> dim << 2; i += 16) {
    v128.store(out + i, f32x4.mul(v128.load(o + i), k));
  }
}
