// Four rows times weights of 4, 5 or 8 bits: prompts and batches.
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

/** Four rows and half a panel at once: each weight is unpacked once for all four. */
// @ts-ignore: decorator
@inline
export function fourRows(
  bits: i32,
  mode: i32,
  half: bool,
  min: bool,
  off: i32,
  a: Product,
  tile: usize,
  panel: usize,
  high: usize,
): void {
  const nb = a.nb, size = blockBytes(bits, half, min);
  const codes: usize = bits == 8 ? 128 : 64;
  const mask = v128.load(HALF_MASK), low = v128.load(LOW_NIBBLES);
  const fifth = v128.load(FIFTH_BITS);
  let w = a.w + panel * nb * size;
  let x = a.xq + tile * nb * 128;
  let xs = (half ? a.xs : a.xf) + tile * nb * 32, xi = a.xi + tile * nb * 16;
  let c0 = f32x4.splat(0), c1 = c0, c2 = c0, c3 = c0;
  for (const end = w + nb * size; w < end; w += size) {
    let s0 = i32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let q = w + high * codes;
    if (bits == 8) {
      for (const stop = q + 128; q < stop; q += 16, x += 4) {
        const v = v128.load(q);
        s0 = step8(mode, v128.load32_splat(x), v, s0);
        s1 = step8(mode, v128.load32_splat(x, 32), v, s1);
        s2 = step8(mode, v128.load32_splat(x, 64), v, s2);
        s3 = step8(mode, v128.load32_splat(x, 96), v, s3);
      }
      x += 96;
    } else if (bits == 4) {
      let v = v128.load(q);
      let lo = lowCodes(4, v, v, low, fifth), hi = highCodes(4, v, v, low, fifth);
      s0 = step(mode, v128.load32_splat(x), lo, s0);
      s1 = step(mode, v128.load32_splat(x, 32), lo, s1);
      s2 = step(mode, v128.load32_splat(x, 64), lo, s2);
      s3 = step(mode, v128.load32_splat(x, 96), lo, s3);
      s0 = step(mode, v128.load32_splat(x, 16), hi, s0);
      s1 = step(mode, v128.load32_splat(x, 48), hi, s1);
      s2 = step(mode, v128.load32_splat(x, 80), hi, s2);
      s3 = step(mode, v128.load32_splat(x, 112), hi, s3);
      v = v128.load(q, 16);
      lo = lowCodes(4, v, v, low, fifth);
      hi = highCodes(4, v, v, low, fifth);
      s0 = step(mode, v128.load32_splat(x, 4), lo, s0);
      s1 = step(mode, v128.load32_splat(x, 36), lo, s1);
      s2 = step(mode, v128.load32_splat(x, 68), lo, s2);
      s3 = step(mode, v128.load32_splat(x, 100), lo, s3);
      s0 = step(mode, v128.load32_splat(x, 20), hi, s0);
      s1 = step(mode, v128.load32_splat(x, 52), hi, s1);
      s2 = step(mode, v128.load32_splat(x, 84), hi, s2);
      s3 = step(mode, v128.load32_splat(x, 116), hi, s3);
      v = v128.load(q, 32);
      lo = lowCodes(4, v, v, low, fifth);
      hi = highCodes(4, v, v, low, fifth);
      s0 = step(mode, v128.load32_splat(x, 8), lo, s0);
      s1 = step(mode, v128.load32_splat(x, 40), lo, s1);
      s2 = step(mode, v128.load32_splat(x, 72), lo, s2);
      s3 = step(mode, v128.load32_splat(x, 104), lo, s3);
      s0 = step(mode, v128.load32_splat(x, 24), hi, s0);
      s1 = step(mode, v128.load32_splat(x, 56), hi, s1);
      s2 = step(mode, v128.load32_splat(x, 88), hi, s2);
      s3 = step(mode, v128.load32_splat(x, 120), hi, s3);
      v = v128.load(q, 48);
      lo = lowCodes(4, v, v, low, fifth);
      hi = highCodes(4, v, v, low, fifth);
      s0 = step(mode, v128.load32_splat(x, 12), lo, s0);
      s1 = step(mode, v128.load32_splat(x, 44), lo, s1);
      s2 = step(mode, v128.load32_splat(x, 76), lo, s2);
      s3 = step(mode, v128.load32_splat(x, 108), lo, s3);
      s0 = step(mode, v128.load32_splat(x, 28), hi, s0);
      s1 = step(mode, v128.load32_splat(x, 60), hi, s1);
      s2 = step(mode, v128.load32_splat(x, 92), hi, s2);
      s3 = step(mode, v128.load32_splat(x, 124), hi, s3);
      x += 128;
      s0 = widen(mode, s0);
      s1 = widen(mode, s1);
      s2 = widen(mode, s2);
      s3 = widen(mode, s3);
    } else {
      let h = v128.load(w + (high << 4), 128), g = i32x4.shl(h, 4);
      for (const stop = q + 64; q < stop; q += 32, x += 8) {
        let v = v128.load(q);
        let lo = lowCodes(5, v, g, low, fifth), hi = highCodes(5, v, h, low, fifth);
        let t0 = mode == PAIRS ? i32x4.splat(0) : s0;
        let t1 = mode == PAIRS ? i32x4.splat(0) : s1;
        let t2 = mode == PAIRS ? i32x4.splat(0) : s2;
        let t3 = mode == PAIRS ? i32x4.splat(0) : s3;
        t0 = step(mode, v128.load32_splat(x), lo, t0);
        t1 = step(mode, v128.load32_splat(x, 32), lo, t1);
        t2 = step(mode, v128.load32_splat(x, 64), lo, t2);
        t3 = step(mode, v128.load32_splat(x, 96), lo, t3);
        t0 = step(mode, v128.load32_splat(x, 16), hi, t0);
        t1 = step(mode, v128.load32_splat(x, 48), hi, t1);
        t2 = step(mode, v128.load32_splat(x, 80), hi, t2);
        t3 = step(mode, v128.load32_splat(x, 112), hi, t3);
        v = v128.load(q, 16);
        lo = lowCodes(5, v, i32x4.shr_u(g, 1), low, fifth);
        hi = highCodes(5, v, i32x4.shr_u(h, 1), low, fifth);
        t0 = step(mode, v128.load32_splat(x, 4), lo, t0);
        t1 = step(mode, v128.load32_splat(x, 36), lo, t1);
        t2 = step(mode, v128.load32_splat(x, 68), lo, t2);
        t3 = step(mode, v128.load32_splat(x, 100), lo, t3);
        t0 = step(mode, v128.load32_splat(x, 20), hi, t0);
        t1 = step(mode, v128.load32_splat(x, 52), hi, t1);
        t2 = step(mode, v128.load32_splat(x, 84), hi, t2);
        t3 = step(mode, v128.load32_splat(x, 116), hi, t3);
        s0 = mode == PAIRS ? i32x4.add(s0, widen(mode, t0)) : t0;
        s1 = mode == PAIRS ? i32x4.add(s1, widen(mode, t1)) : t1;
        s2 = mode == PAIRS ? i32x4.add(s2, widen(mode, t2)) : t2;
        s3 = mode == PAIRS ? i32x4.add(s3, widen(mode, t3)) : t3;
        g = i32x4.shr_u(g, 2);
        h = i32x4.shr_u(h, 2);
      }
      x += 112;
    }
    const at = w + scalesAt(bits);
    const d = scale(half, at, high, mask);
    const m = min ? scale(half, at + (half ? 16 : 32), high, mask) : d;
    c0 = close(c0, less(s0, off, xi), d, m, min, xs);
    c1 = close(c1, less(s1, off, xi + 4), d, m, min, xs + 4);
    c2 = close(c2, less(s2, off, xi + 8), d, m, min, xs + 8);
    c3 = close(c3, less(s3, off, xi + 12), d, m, min, xs + 12);
    xs += 32;
    xi += 16;
  }
  const add = (a.flags & ADD) != 0;
  let out = a.out + tile * 4 * a.stride + (panel << 5) + (high << 4);
  put(add, out, whole(half, c0));
  put(add, out += a.stride, whole(half, c1));
  put(add, out += a.stride, whole(half, c2));
  put(add, out + a.stride, whole(half, c3));
}
