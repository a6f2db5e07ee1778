// One row times weights of 4, 5 or 8 bits: decoding.
import {
  blockBytes,
  close,
  highCodes,
  less,
  lowCodes,
  scale,
  scalesAt,
  step8,
  whole,
} from "./codes";
import {
  FIFTH_BITS,
  HALF_MASK,
  LOW_NIBBLES,
  PAIRS,
  step,
  widen,
} from "./lanes";
import { ADD, Product, put } from "./product";

/** One row: the two halves of a panel are two independent chains of sums. */
// @ts-ignore: decorator
@inline
export function oneRow(
  bits: i32,
  mode: i32,
  half: bool,
  min: bool,
  off: i32,
  a: Product,
  row: usize,
  from: i32,
  to: i32,
): void {
  const nb = a.nb, add = (a.flags & ADD) != 0;
  const size = blockBytes(bits, half, min);
  const mask = v128.load(HALF_MASK), low = v128.load(LOW_NIBBLES);
  const fifth = v128.load(FIFTH_BITS);
  const tile = (row >> 2) * nb, lane = row & 3;
  const scales = half ? a.xs : a.xf;
  let out = a.out + row * a.stride + (<usize> from << 5);
  let w = a.w + <usize> from * nb * size;
  for (let p = from; p < to; p++) {
    let c0 = f32x4.splat(0), c1 = c0;
    let x = a.xq + tile * 128 + lane * 32;
    let xs = scales + tile * 32 + lane * 4, xi = a.xi + tile * 16 + lane * 4;
    for (const end = w + nb * size; w < end; w += size) {
      let s0 = i32x4.splat(0), s1 = s0;
      if (bits == 8) {
        let y = v128.load32_splat(x);
        s0 = step8(mode, y, v128.load(w), s0);
        s1 = step8(mode, y, v128.load(w, 128), s1);
        y = v128.load32_splat(x, 4);
        s0 = step8(mode, y, v128.load(w, 16), s0);
        s1 = step8(mode, y, v128.load(w, 144), s1);
        y = v128.load32_splat(x, 8);
        s0 = step8(mode, y, v128.load(w, 32), s0);
        s1 = step8(mode, y, v128.load(w, 160), s1);
        y = v128.load32_splat(x, 12);
        s0 = step8(mode, y, v128.load(w, 48), s0);
        s1 = step8(mode, y, v128.load(w, 176), s1);
        y = v128.load32_splat(x, 16);
        s0 = step8(mode, y, v128.load(w, 64), s0);
        s1 = step8(mode, y, v128.load(w, 192), s1);
        y = v128.load32_splat(x, 20);
        s0 = step8(mode, y, v128.load(w, 80), s0);
        s1 = step8(mode, y, v128.load(w, 208), s1);
        y = v128.load32_splat(x, 24);
        s0 = step8(mode, y, v128.load(w, 96), s0);
        s1 = step8(mode, y, v128.load(w, 224), s1);
        y = v128.load32_splat(x, 28);
        s0 = step8(mode, y, v128.load(w, 112), s0);
        s1 = step8(mode, y, v128.load(w, 240), s1);
      } else {
        const h = bits == 5 ? v128.load(w, 128) : s0;
        const g = bits == 5 ? v128.load(w, 144) : s0;
        let y = v128.load32_splat(x), z = v128.load32_splat(x, 16);
        let u = v128.load(w), v = v128.load(w, 64);
        s0 = step(mode, y, lowCodes(bits, u, i32x4.shl(h, 4), low, fifth), s0);
        s1 = step(mode, y, lowCodes(bits, v, i32x4.shl(g, 4), low, fifth), s1);
        s0 = step(mode, z, highCodes(bits, u, h, low, fifth), s0);
        s1 = step(mode, z, highCodes(bits, v, g, low, fifth), s1);
        y = v128.load32_splat(x, 4);
        z = v128.load32_splat(x, 20);
        u = v128.load(w, 16);
        v = v128.load(w, 80);
        s0 = step(mode, y, lowCodes(bits, u, i32x4.shl(h, 3), low, fifth), s0);
        s1 = step(mode, y, lowCodes(bits, v, i32x4.shl(g, 3), low, fifth), s1);
        s0 = step(mode, z, highCodes(bits, u, i32x4.shr_u(h, 1), low, fifth), s0);
        s1 = step(mode, z, highCodes(bits, v, i32x4.shr_u(g, 1), low, fifth), s1);
        // Pair sums of 5-bit codes reach 31·127·2 a step: widened after four.
        const flush = bits == 5 && mode == PAIRS;
        const t0 = flush ? widen(mode, s0) : s0;
        const t1 = flush ? widen(mode, s1) : s1;
        if (flush) s0 = s1 = i32x4.splat(0);
        y = v128.load32_splat(x, 8);
        z = v128.load32_splat(x, 24);
        u = v128.load(w, 32);
        v = v128.load(w, 96);
        s0 = step(mode, y, lowCodes(bits, u, i32x4.shl(h, 2), low, fifth), s0);
        s1 = step(mode, y, lowCodes(bits, v, i32x4.shl(g, 2), low, fifth), s1);
        s0 = step(mode, z, highCodes(bits, u, i32x4.shr_u(h, 2), low, fifth), s0);
        s1 = step(mode, z, highCodes(bits, v, i32x4.shr_u(g, 2), low, fifth), s1);
        y = v128.load32_splat(x, 12);
        z = v128.load32_splat(x, 28);
        u = v128.load(w, 48);
        v = v128.load(w, 112);
        s0 = step(mode, y, lowCodes(bits, u, i32x4.shl(h, 1), low, fifth), s0);
        s1 = step(mode, y, lowCodes(bits, v, i32x4.shl(g, 1), low, fifth), s1);
        s0 = step(mode, z, highCodes(bits, u, i32x4.shr_u(h, 3), low, fifth), s0);
        s1 = step(mode, z, highCodes(bits, v, i32x4.shr_u(g, 3), low, fifth), s1);
        s0 = widen(mode, s0);
        s1 = widen(mode, s1);
        if (flush) {
          s0 = i32x4.add(s0, t0);
          s1 = i32x4.add(s1, t1);
        }
      }
      x += 128;
      const d = w + scalesAt(bits), m = d + (half ? 16 : 32);
      s0 = less(s0, off, xi);
      s1 = less(s1, off, xi);
      c0 = close(c0, s0, scale(half, d, 0, mask), min ? scale(half, m, 0, mask) : c0, min, xs);
      c1 = close(c1, s1, scale(half, d, 1, mask), min ? scale(half, m, 1, mask) : c1, min, xs);
      xs += 32;
      xi += 16;
    }
    put(add, out, whole(half, c0));
    put(add, out + 16, whole(half, c1));
    out += 32;
  }
}
