// Reading single rows back out of the lane layouts: the embedding look-up.
import { fromHalf } from "./lanes";
import * as kind from "./kinds";

@unmanaged
export class Embed {
  kind: i32;
  flags: i32;
  w: usize;
  d: usize;
  m: usize;
  sc: usize;
  /** A layout of kinds.ts. */
  layout: i32;
  /** Inputs: values in a row. */
  n: usize;
  tokens: usize;
  out: usize;
  stride: usize;
  factor: f32;
  rows: usize;
}

// @ts-ignore: decorator
@inline
function scaleAt(half: bool, p: usize, i: usize): f32 {
  return half ? fromHalf(load<u16>(p + (i << 1))) : load<f32>(p + (i << 2));
}

/** Row `o` of a matrix, `n` values, to `to`. */
function decode(a: Embed, o: usize, to: usize): void {
  const n = a.n, panel = o >> 2, lane = o & 3, layout = a.layout;
  if (layout <= kind.BF16) {
    for (let k: usize = 0; k < n; k++) {
      const i = ((panel * n + k) << 2) + lane;
      const v: f32 = layout == kind.F32
        ? load<f32>(a.w + (i << 2))
        : layout == kind.F16
        ? fromHalf(load<u16>(a.w + (i << 1)))
        : reinterpret<f32>(<u32> load<u16>(a.w + (i << 1)) << 16);
      store<f32>(to + (k << 2), v);
    }
    return;
  }
  const nb = n >> 5;
  for (let b: usize = 0; b < nb; b++, to += 128) {
    const i = panel * nb + b;
    if (layout == kind.Q8) {
      const d = scaleAt(true, a.d, (i << 2) + lane);
      const w = a.w + i * 128 + lane * 4;
      for (let k: usize = 0; k < 32; k++) {
        const c = load<i8>(w + ((k >> 2) << 4) + (k & 3));
        store<f32>(to + (k << 2), <f32> c * d);
      }
    } else if (layout < kind.Q8) {
      const five = layout >= kind.Q5;
      const half = layout != kind.Q4MF && layout != kind.Q5MF;
      const d = scaleAt(half, a.d, (i << 2) + lane);
      const signed = layout == kind.Q4 || layout == kind.Q5;
      const m: f32 = signed ? 0 : scaleAt(half, a.m, (i << 2) + lane);
      const off = signed ? (five ? 16 : 8) : 0;
      const w = a.w + i * (five ? 80 : 64) + lane * 4;
      for (let k: usize = 0; k < 32; k++) {
        const at = k & 15, j = at >> 2, high = k >> 4;
        let c = (load<u8>(w + (j << 4) + (at & 3)) >> <u8> (high << 2)) & 15;
        if (five) {
          c |= ((load<u8>(w + 64 + (at & 3)) >> <u8> (j + high * 4)) & 1) << 4;
        }
        store<f32>(to + (k << 2), <f32> (<i32> c - off) * d + m);
      }
    } else {
      const six = layout == kind.Q6K, min = layout == kind.Q2K;
      const off = six ? 32 : layout == kind.Q3K ? 4 : 0;
      const w = a.w + i * (six ? 96 : 64) + lane * 4;
      const sc = a.sc + i * (min ? 16 : 8) + lane;
      const s = (panel * (nb >> 3) + (b >> 3)) * 4 + lane;
      const d = load<f32>(a.d + (s << 2));
      const m: f32 = min ? load<f32>(a.m + (s << 2)) : 0;
      for (let k: usize = 0; k < 32; k++) {
        const at = k & 15, j = at >> 2, high = k >> 4;
        let c = (load<u8>(w + (j << 4) + (at & 3)) >> <u8> (high << 2)) & 15;
        if (six) {
          const h = load<u8>(w + 64 + (high << 4) + (at & 3));
          c |= ((h >> <u8> (j << 1)) & 3) << 4;
        }
        const scale = d * <f32> load<i8>(sc + high * 4);
        const low: f32 = min ? m * <f32> load<i8>(sc + 8 + high * 4) : 0;
        store<f32>(to + (k << 2), <f32> (<i32> c - off) * scale + low);
      }
    }
  }
}

export function embedRows(a: Embed, from: i32, to: i32): void {
  for (let r = from; r < to; r++) {
    const out = a.out + <usize> r * a.stride;
    decode(a, <usize> load<i32>(a.tokens + (<usize> r << 2)), out);
    if (a.factor != 1) {
      for (let i: usize = 0; i < a.n << 2; i += 4) {
        store<f32>(out + i, load<f32>(out + i) * a.factor);
      }
    }
  }
}

/** One row decoded without a program, for weights that are wanted as f32. */
export function decodeRow(a: Embed, row: usize, to: usize): void {
  decode(a, row, to);
}
