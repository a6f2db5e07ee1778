// Scores of queries with keys, and sums of weighted values: the inner loops of
// attention. K and V are as drawn in attention.ts; queries come in quads, and each
// loop does two steps a turn.
import { HALF_MASK, halves, madd } from "./lanes";

/** Positions in a split. */
// @ts-ignore: decorator
@inline export const SPLIT = 256;

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
export function scoreHalf(n: i32, q: usize, k: usize, dim: i32, out: usize): void {
  score(n, 2, q, k, dim, out);
}
export function scoreFloat(n: i32, q: usize, k: usize, dim: i32, out: usize): void {
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
export function weighHalf(
  n: i32,
  p: usize,
  v: usize,
  dim: i32,
  count: i32,
  o: usize,
): void {
  weigh(n, 2, p, v, dim, count, o);
}
export function weighFloat(
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
export function spreadHalves(from: usize, to: usize, n: usize): void {
  const mask = v128.load(HALF_MASK);
  for (const end = from + n * 2; from < end; from += 16, to += 32) {
    v128.store(to, four(2, from, false, mask));
    v128.store(to, four(2, from, true, mask), 16);
  }
}
