// One row times weights of books: decoding.
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

/** One row: the two halves of a panel are two independent chains of sums. */
// @ts-ignore: decorator
@inline
export function booksRow(
  mode: i32,
  wide: bool,
  half: bool,
  book: usize,
  a: Product,
  row: usize,
  from: i32,
  to: i32,
): void {
  const nb = a.nb, flag = (a.flags & ADD) != 0;
  const size = blockBytes(4, half, false), off = offset(mode, wide);
  const split = isSplit(mode, wide), flush = flushes(mode, wide);
  const mask = v128.load(HALF_MASK), low = v128.load(LOW_NIBBLES);
  const t = v128.load(book + form(mode, wide)), u = v128.load(book, 32);
  const tile = (row >> 2) * nb, lane = row & 3;
  const scales = half ? a.xs : a.xf, zero = i32x4.splat(0);
  let out = a.out + row * a.stride + (<usize> from << 5);
  let w = a.w + <usize> from * nb * size;
  for (let p = from; p < to; p++) {
    let c0 = f32x4.splat(0), c1 = c0;
    let x = a.xq + tile * 128 + lane * 32;
    let xs = scales + tile * 32 + lane * 4, xi = a.xi + tile * 16 + lane * 4;
    for (const end = w + nb * size; w < end; w += size) {
      let s0 = zero, s1 = zero, l0 = zero, l1 = zero;
      let y = v128.load32_splat(x), z = v128.load32_splat(x, 16);
      let v = v128.load(w), c = v128.and(v, low), d = v128.and(i16x8.shr_u(v, 4), low);
      s0 = add(mode, y, values(t, c), s0);
      s0 = add(mode, z, values(t, d), s0);
      if (split) {
        l0 = add(mode, y, values(u, c), l0);
        l0 = add(mode, z, values(u, d), l0);
      }
      v = v128.load(w, 64);
      c = v128.and(v, low);
      d = v128.and(i16x8.shr_u(v, 4), low);
      s1 = add(mode, y, values(t, c), s1);
      s1 = add(mode, z, values(t, d), s1);
      if (split) {
        l1 = add(mode, y, values(u, c), l1);
        l1 = add(mode, z, values(u, d), l1);
      }
      y = v128.load32_splat(x, 4);
      z = v128.load32_splat(x, 20);
      v = v128.load(w, 16);
      c = v128.and(v, low);
      d = v128.and(i16x8.shr_u(v, 4), low);
      s0 = add(mode, y, values(t, c), s0);
      s0 = add(mode, z, values(t, d), s0);
      if (split) {
        l0 = add(mode, y, values(u, c), l0);
        l0 = add(mode, z, values(u, d), l0);
      }
      v = v128.load(w, 80);
      c = v128.and(v, low);
      d = v128.and(i16x8.shr_u(v, 4), low);
      s1 = add(mode, y, values(t, c), s1);
      s1 = add(mode, z, values(t, d), s1);
      if (split) {
        l1 = add(mode, y, values(u, c), l1);
        l1 = add(mode, z, values(u, d), l1);
      }
      // Of small books: pair sums of the first two vectors.
      const f0 = flush ? widen(mode, s0) : zero;
      const f1 = flush ? widen(mode, s1) : zero;
      if (flush) s0 = s1 = zero;
      y = v128.load32_splat(x, 8);
      z = v128.load32_splat(x, 24);
      v = v128.load(w, 32);
      c = v128.and(v, low);
      d = v128.and(i16x8.shr_u(v, 4), low);
      s0 = add(mode, y, values(t, c), s0);
      s0 = add(mode, z, values(t, d), s0);
      if (split) {
        l0 = add(mode, y, values(u, c), l0);
        l0 = add(mode, z, values(u, d), l0);
      }
      v = v128.load(w, 96);
      c = v128.and(v, low);
      d = v128.and(i16x8.shr_u(v, 4), low);
      s1 = add(mode, y, values(t, c), s1);
      s1 = add(mode, z, values(t, d), s1);
      if (split) {
        l1 = add(mode, y, values(u, c), l1);
        l1 = add(mode, z, values(u, d), l1);
      }
      y = v128.load32_splat(x, 12);
      z = v128.load32_splat(x, 28);
      v = v128.load(w, 48);
      c = v128.and(v, low);
      d = v128.and(i16x8.shr_u(v, 4), low);
      s0 = add(mode, y, values(t, c), s0);
      s0 = add(mode, z, values(t, d), s0);
      if (split) {
        l0 = add(mode, y, values(u, c), l0);
        l0 = add(mode, z, values(u, d), l0);
      }
      v = v128.load(w, 112);
      c = v128.and(v, low);
      d = v128.and(i16x8.shr_u(v, 4), low);
      s1 = add(mode, y, values(t, c), s1);
      s1 = add(mode, z, values(t, d), s1);
      if (split) {
        l1 = add(mode, y, values(u, c), l1);
        l1 = add(mode, z, values(u, d), l1);
      }
      s0 = total(mode, wide, s0, l0);
      s1 = total(mode, wide, s1, l1);
      if (flush) {
        s0 = i32x4.add(s0, f0);
        s1 = i32x4.add(s1, f1);
      }
      x += 128;
      const q = w + scalesAt(4);
      c0 = close(c0, less(s0, off, xi), scale(half, q, 0, mask), c0, false, xs);
      c1 = close(c1, less(s1, off, xi), scale(half, q, 1, mask), c1, false, xs);
      xs += 32;
      xi += 16;
    }
    put(flag, out, whole(half, c0));
    put(flag, out + 16, whole(half, c1));
    out += 32;
  }
}
