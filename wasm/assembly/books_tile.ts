// Four rows times weights of books: prompts and batches.
import {
  add,
  flushes,
  form,
  isSplit,
  offset,
  total,
  values,
} from "./books_codes";
import { blockBytes, close, less, scale, scalesAt, whole } from "./codes";
import { HALF_MASK, LOW_NIBBLES, widen } from "./lanes";
import { ADD, Product, put } from "./product";

/** Four rows and half a panel at once: each weight is looked up once for all four. */
// @ts-ignore: decorator
@inline
export function booksTile(
  mode: i32,
  wide: bool,
  half: bool,
  book: usize,
  a: Product,
  tile: usize,
  panel: usize,
  high: usize,
): void {
  const nb = a.nb, size = blockBytes(4, half, false);
  const off = offset(mode, wide);
  const split = isSplit(mode, wide), flush = flushes(mode, wide);
  const mask = v128.load(HALF_MASK), low = v128.load(LOW_NIBBLES);
  const t = v128.load(book + form(mode, wide)), u = v128.load(book, 32);
  const zero = i32x4.splat(0);
  let w = a.w + panel * nb * size;
  let x = a.xq + tile * nb * 128;
  let xs = (half ? a.xs : a.xf) + tile * nb * 32, xi = a.xi + tile * nb * 16;
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
  for (const end = w + nb * size; w < end; w += size) {
    let s0 = zero, s1 = zero, s2 = zero, s3 = zero;
    let l0 = zero, l1 = zero, l2 = zero, l3 = zero;
    let f0 = zero, f1 = zero, f2 = zero, f3 = zero;
    const q = w + (high << 6);
    let v = v128.load(q);
    let c = v128.and(v, low), k = values(t, c);
    s0 = add(mode, v128.load32_splat(x), k, s0);
    s1 = add(mode, v128.load32_splat(x, 32), k, s1);
    s2 = add(mode, v128.load32_splat(x, 64), k, s2);
    s3 = add(mode, v128.load32_splat(x, 96), k, s3);
    if (split) {
      k = values(u, c);
      l0 = add(mode, v128.load32_splat(x), k, l0);
      l1 = add(mode, v128.load32_splat(x, 32), k, l1);
      l2 = add(mode, v128.load32_splat(x, 64), k, l2);
      l3 = add(mode, v128.load32_splat(x, 96), k, l3);
    }
    c = v128.and(i16x8.shr_u(v, 4), low);
    k = values(t, c);
    s0 = add(mode, v128.load32_splat(x, 16), k, s0);
    s1 = add(mode, v128.load32_splat(x, 48), k, s1);
    s2 = add(mode, v128.load32_splat(x, 80), k, s2);
    s3 = add(mode, v128.load32_splat(x, 112), k, s3);
    if (split) {
      k = values(u, c);
      l0 = add(mode, v128.load32_splat(x, 16), k, l0);
      l1 = add(mode, v128.load32_splat(x, 48), k, l1);
      l2 = add(mode, v128.load32_splat(x, 80), k, l2);
      l3 = add(mode, v128.load32_splat(x, 112), k, l3);
    }
    v = v128.load(q, 16);
    c = v128.and(v, low);
    k = values(t, c);
    s0 = add(mode, v128.load32_splat(x, 4), k, s0);
    s1 = add(mode, v128.load32_splat(x, 36), k, s1);
    s2 = add(mode, v128.load32_splat(x, 68), k, s2);
    s3 = add(mode, v128.load32_splat(x, 100), k, s3);
    if (split) {
      k = values(u, c);
      l0 = add(mode, v128.load32_splat(x, 4), k, l0);
      l1 = add(mode, v128.load32_splat(x, 36), k, l1);
      l2 = add(mode, v128.load32_splat(x, 68), k, l2);
      l3 = add(mode, v128.load32_splat(x, 100), k, l3);
    }
    c = v128.and(i16x8.shr_u(v, 4), low);
    k = values(t, c);
    s0 = add(mode, v128.load32_splat(x, 20), k, s0);
    s1 = add(mode, v128.load32_splat(x, 52), k, s1);
    s2 = add(mode, v128.load32_splat(x, 84), k, s2);
    s3 = add(mode, v128.load32_splat(x, 116), k, s3);
    if (split) {
      k = values(u, c);
      l0 = add(mode, v128.load32_splat(x, 20), k, l0);
      l1 = add(mode, v128.load32_splat(x, 52), k, l1);
      l2 = add(mode, v128.load32_splat(x, 84), k, l2);
      l3 = add(mode, v128.load32_splat(x, 116), k, l3);
    }
    // Of small books: pair sums of the first two vectors.
    if (flush) {
      f0 = widen(mode, s0);
      f1 = widen(mode, s1);
      f2 = widen(mode, s2);
      f3 = widen(mode, s3);
      s0 = s1 = s2 = s3 = zero;
    }
    v = v128.load(q, 32);
    c = v128.and(v, low);
    k = values(t, c);
    s0 = add(mode, v128.load32_splat(x, 8), k, s0);
    s1 = add(mode, v128.load32_splat(x, 40), k, s1);
    s2 = add(mode, v128.load32_splat(x, 72), k, s2);
    s3 = add(mode, v128.load32_splat(x, 104), k, s3);
    if (split) {
      k = values(u, c);
      l0 = add(mode, v128.load32_splat(x, 8), k, l0);
      l1 = add(mode, v128.load32_splat(x, 40), k, l1);
      l2 = add(mode, v128.load32_splat(x, 72), k, l2);
      l3 = add(mode, v128.load32_splat(x, 104), k, l3);
    }
    c = v128.and(i16x8.shr_u(v, 4), low);
    k = values(t, c);
    s0 = add(mode, v128.load32_splat(x, 24), k, s0);
    s1 = add(mode, v128.load32_splat(x, 56), k, s1);
    s2 = add(mode, v128.load32_splat(x, 88), k, s2);
    s3 = add(mode, v128.load32_splat(x, 120), k, s3);
    if (split) {
      k = values(u, c);
      l0 = add(mode, v128.load32_splat(x, 24), k, l0);
      l1 = add(mode, v128.load32_splat(x, 56), k, l1);
      l2 = add(mode, v128.load32_splat(x, 88), k, l2);
      l3 = add(mode, v128.load32_splat(x, 120), k, l3);
    }
    v = v128.load(q, 48);
    c = v128.and(v, low);
    k = values(t, c);
    s0 = add(mode, v128.load32_splat(x, 12), k, s0);
    s1 = add(mode, v128.load32_splat(x, 44), k, s1);
    s2 = add(mode, v128.load32_splat(x, 76), k, s2);
    s3 = add(mode, v128.load32_splat(x, 108), k, s3);
    if (split) {
      k = values(u, c);
      l0 = add(mode, v128.load32_splat(x, 12), k, l0);
      l1 = add(mode, v128.load32_splat(x, 44), k, l1);
      l2 = add(mode, v128.load32_splat(x, 76), k, l2);
      l3 = add(mode, v128.load32_splat(x, 108), k, l3);
    }
    c = v128.and(i16x8.shr_u(v, 4), low);
    k = values(t, c);
    s0 = add(mode, v128.load32_splat(x, 28), k, s0);
    s1 = add(mode, v128.load32_splat(x, 60), k, s1);
    s2 = add(mode, v128.load32_splat(x, 92), k, s2);
    s3 = add(mode, v128.load32_splat(x, 124), k, s3);
    if (split) {
      k = values(u, c);
      l0 = add(mode, v128.load32_splat(x, 28), k, l0);
      l1 = add(mode, v128.load32_splat(x, 60), k, l1);
      l2 = add(mode, v128.load32_splat(x, 92), k, l2);
      l3 = add(mode, v128.load32_splat(x, 124), k, l3);
    }
    x += 128;
    s0 = i32x4.add(total(mode, wide, s0, l0), f0);
    s1 = i32x4.add(total(mode, wide, s1, l1), f1);
    s2 = i32x4.add(total(mode, wide, s2, l2), f2);
    s3 = i32x4.add(total(mode, wide, s3, l3), f3);
    const d = scale(half, w + scalesAt(4), high, mask);
    c0 = close(c0, less(s0, off, xi), d, d, false, xs);
    c1 = close(c1, less(s1, off, xi + 4), d, d, false, xs + 4);
    c2 = close(c2, less(s2, off, xi + 8), d, d, false, xs + 8);
    c3 = close(c3, less(s3, off, xi + 12), d, d, false, xs + 12);
    xs += 32;
    xi += 16;
  }
  const flag = (a.flags & ADD) != 0;
  let out = a.out + tile * 4 * a.stride + (panel << 5) + (high << 4);
  put(flag, out, whole(half, c0));
  put(flag, out += a.stride, whole(half, c1));
  put(flag, out += a.stride, whole(half, c2));
  put(flag, out + a.stride, whole(half, c3));
}
