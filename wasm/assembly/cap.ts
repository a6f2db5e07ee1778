// Soft caps of scores and logits.
import { EXP_LEAST, EXP_ROUND, EXP_TERMS, exp2of, madd } from "./lanes";

/** tanh(y) = y + y³ P(y²) up to |y| = 0.625, relative error 1e-8. */
// @ts-ignore: decorator
@inline const NEAR: f32 = 0.625;

/**
 * `count` values (a multiple of four) at `p` become cap · tanh(scale · x / cap), or
 * scale · x where `cap` is 0. A value's bits depend on nothing but itself.
 */
export function softCap(p: usize, count: i32, scale: f32, cap: f32): void {
  const end = p + (<usize> count << 2), k = f32x4.splat(scale);
  if (cap == 0) {
    for (; p < end; p += 16) v128.store(p, f32x4.mul(v128.load(p), k));
    return;
  }
  const least = v128.load(EXP_LEAST), round = v128.load(EXP_ROUND);
  const c5 = v128.load(EXP_TERMS), c4 = v128.load(EXP_TERMS, 16);
  const c3 = v128.load(EXP_TERMS, 32), c2 = v128.load(EXP_TERMS, 48);
  const c1 = v128.load(EXP_TERMS, 64), c0 = v128.load(EXP_TERMS, 80);
  const most = f32x4.splat(cap), one = f32x4.splat(1), near = f32x4.splat(NEAR);
  // What 2 · log2(e) · |y| is taken from: tanh(y) = (1 - e) / (1 + e), e = exp(-2 |y|).
  const toLog2 = f32x4.splat(-2.885390081777927);
  const sign = f32x4.splat(-0.0);
  for (; p < end; p += 16) {
    const y = f32x4.div(f32x4.mul(v128.load(p), k), most), z = f32x4.mul(y, y);
    let t = madd(f32x4.splat(-0.005880744764), z, f32x4.splat(0.020806587586));
    t = madd(t, z, f32x4.splat(-0.053794766911));
    t = madd(t, z, f32x4.splat(0.133321558474));
    t = madd(t, z, f32x4.splat(-0.333333107476));
    t = madd(f32x4.mul(y, z), t, y);
    const a = f32x4.abs(y);
    const e = exp2of(f32x4.mul(a, toLog2), least, round, c5, c4, c3, c2, c1, c0);
    const far = f32x4.div(f32x4.sub(one, e), f32x4.add(one, e));
    t = v128.bitselect(t, v128.or(far, v128.and(y, sign)), f32x4.lt(a, near));
    v128.store(p, f32x4.mul(t, most));
  }
}
