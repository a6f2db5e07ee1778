// Matrix times f32 rows, for weights kept as f32, f16 or bfloat16.
//
// ```text
//  w  [panel][input]{ 8 outputs }      x  [tile][input]{ 4 rows } f32
// ```
// Eight chains of sums hide the latency of an addition.
import { HALF_MASK, HALF_SCALE, loadBrains, loadHalves, madd } from "./lanes";
import { ADD, Product, put } from "./product";

// @ts-ignore: decorator
@inline const F32 = 0;
// @ts-ignore: decorator
@inline const F16 = 1;
// @ts-ignore: decorator
@inline const BF16 = 2;

// @ts-ignore: decorator
@inline
export function weights(type: i32, p: usize): v128 {
  if (type == F32) return v128.load(p);
  if (type == BF16) return loadBrains(p);
  return f32x4.mul(
    loadHalves(p, v128.load(HALF_MASK)),
    f32x4.splat(HALF_SCALE),
  );
}

// @ts-ignore: decorator
@inline
function product(type: i32, a: Product, from: i32, to: i32): void {
  const rows = load<i32>(a.rows), n = a.nb, add = (a.flags & ADD) != 0;
  const size: usize = type == F32 ? 32 : 16;
  for (let p = from; p < to; p++) {
    const start = a.w + <usize> p * n * size;
    let out = a.out + (<usize> p << 5);
    let r = 0;
    for (; r + 2 < rows; r += 4) {
      let x = a.xf + <usize> r * n * 4;
      let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
      let e0 = c0, e1 = c0, e2 = c0, e3 = c0;
      for (let w = start, end = start + n * size; w < end; w += size, x += 16) {
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
      put(add, out, c0);
      put(add, out + 16, e0);
      put(add, out += a.stride, c1);
      put(add, out + 16, e1);
      put(add, out += a.stride, c2);
      put(add, out + 16, e2);
      put(add, out += a.stride, c3);
      put(add, out + 16, e3);
      out += a.stride;
    }
    for (; r < rows; r++) {
      let x = a.xf + <usize> (r >> 2) * n * 16 + (r & 3) * 4;
      let c = f32x4.splat(0), e = c;
      for (let w = start, end = start + n * size; w < end; w += size, x += 16) {
        const t = v128.load32_splat(x);
        c = madd(weights(type, w), t, c);
        e = madd(weights(type, w + (size >> 1)), t, e);
      }
      put(add, out, c);
      put(add, out + 16, e);
      out += a.stride;
    }
  }
}

export function f32s(a: Product, from: i32, to: i32): void {
  product(F32, a, from, to);
}
export function f16s(a: Product, from: i32, to: i32): void {
  product(F16, a, from, to);
}
export function bf16s(a: Product, from: i32, to: i32): void {
  product(BF16, a, from, to);
}
