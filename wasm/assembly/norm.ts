// Root-mean-square norm of one row.
import { madd, sum4 } from "./lanes";

/** 1 / root of the mean square (plus eps) of `n` values. */
function inverseRoot(p: usize, n: usize, eps: f32): f32 {
  let a = f32x4.splat(0), b = a;
  const end = p + (n << 2);
  for (; p + 16 < end; p += 32) {
    const u = v128.load(p), v = v128.load(p, 16);
    a = madd(u, u, a);
    b = madd(v, v, b);
  }
  if (p < end) {
    const u = v128.load(p);
    a = madd(u, u, a);
  }
  return 1 / sqrt<f32>(sum4(f32x4.add(a, b)) / <f32> n + eps);
}

// @ts-ignore: decorator
@inline
export function normTo(p: usize, w: usize, to: usize, n: usize, eps: f32): void {
  const k = f32x4.splat(inverseRoot(p, n, eps));
  for (let i: usize = 0; i < n << 2; i += 16) {
    v128.store(
      to + i,
      f32x4.mul(f32x4.mul(v128.load(p + i), k), v128.load(w + i)),
    );
  }
}
