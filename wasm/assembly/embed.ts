// Reading single rows back out of the lane layouts: the embedding look-up.
import { fromHalf } from "./lanes";
import { bookOf } from "./books";
import * as kind from "./kinds";

@unmanaged
export class Embed {
  kind: i32;
  flags: i32;
  w: usize;
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

/** Row `o` of a matrix, `n` values, to `to`. The layouts are drawn in quants.ts. */
export function decodeRow(a: Embed, o: usize, to: usize): void {
  const n = a.n, panel = o >> 3, place = o & 7, layout = a.layout;
  const half = (o >> 2) & 1, lane = (o & 3) << 2;
  if (layout <= kind.BF16) {
    for (let k: usize = 0; k < n; k++) {
      const i = ((panel * n + k) << 3) + place;
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
  if (layout >= kind.NL) {
    const f16 = layout == kind.NL, size: usize = f16 ? 144 : 160;
    const book = bookOf(layout);
    let w = a.w + panel * nb * size;
    for (let b: usize = 0; b < nb; b++, w += size, to += 128) {
      const d = scaleAt(f16, w + 128, place);
      const p = w + (half << 6) + lane;
      for (let k: usize = 0; k < 32; k++) {
        const at = k & 15, q = load<u8>(p + ((at >> 2) << 4) + (at & 3));
        const c = (q >> <u8> ((k >> 4) << 2)) & 15;
        store<f32>(to + (k << 2), <f32> load<i8>(book + <usize> c) * d);
      }
    }
    return;
  }
  if (layout == kind.Q8) {
    let w = a.w + panel * nb * 272;
    for (let b: usize = 0; b < nb; b++, w += 272, to += 128) {
      const d = scaleAt(true, w + 256, place);
      const p = w + (half << 7) + lane;
      for (let k: usize = 0; k < 32; k++) {
        const c = load<i8>(p + ((k >> 2) << 4) + (k & 3));
        store<f32>(to + (k << 2), <f32> c * d);
      }
    }
  } else if (layout < kind.Q8) {
    const five = layout >= kind.Q5;
    const f16 = layout != kind.Q4MF && layout != kind.Q5MF;
    const signed = layout == kind.Q4 || layout == kind.Q5;
    const off = signed ? (five ? 16 : 8) : 0;
    const scales: usize = five ? 160 : 128, each: usize = f16 ? 16 : 32;
    const size = scales + (signed ? each : each * 2);
    let w = a.w + panel * nb * size;
    for (let b: usize = 0; b < nb; b++, w += size, to += 128) {
      const d = scaleAt(f16, w + scales, place);
      const m: f32 = signed ? 0 : scaleAt(f16, w + scales + each, place);
      const p = w + (half << 6) + lane, h = w + 128 + (half << 4) + lane;
      for (let k: usize = 0; k < 32; k++) {
        const at = k & 15, j = at >> 2, high = k >> 4;
        let c = (load<u8>(p + (j << 4) + (at & 3)) >> <u8> (high << 2)) & 15;
        if (five) {
          c |= ((load<u8>(h + (at & 3)) >> <u8> (j + high * 4)) & 1) << 4;
        }
        store<f32>(to + (k << 2), <f32> (<i32> c - off) * d + m);
      }
    }
  } else {
    const six = layout == kind.Q6K, min = layout == kind.Q2K;
    const off = six ? 32 : layout == kind.Q3K ? 4 : 0;
    const codes: usize = six ? 192 : 128, size = codes + (min ? 32 : 16);
    let w = a.w + panel * (nb >> 3) * (size * 8 + (min ? 64 : 32));
    for (let s: usize = 0; s < nb; s += 8) {
      const scales = w + size * 8;
      const d = load<f32>(scales + (place << 2));
      const m: f32 = min ? load<f32>(scales + 32 + (place << 2)) : 0;
      for (let b: usize = 0; b < 8; b++, w += size, to += 128) {
        const p = w + (half << 6) + lane, h = w + 128 + (half << 5) + lane;
        const sc = w + codes + (half << 3) + (o & 3);
        for (let k: usize = 0; k < 32; k++) {
          const at = k & 15, j = at >> 2, high = k >> 4;
          let c = (load<u8>(p + (j << 4) + (at & 3)) >> <u8> (high << 2)) & 15;
          if (six) {
            const bits = load<u8>(h + (high << 4) + (at & 3));
            c |= ((bits >> <u8> (j << 1)) & 3) << 4;
          }
          const scale = d * <f32> load<i8>(sc + high * 4);
          const low: f32 = min ? m * <f32> load<i8>(sc + 16 + high * 4) : 0;
          store<f32>(to + (k << 2), <f32> (<i32> c - off) * scale + low);
        }
      }
      w += min ? 64 : 32;
    }
  }
}

export function embedRows(a: Embed, from: i32, to: i32): void {
  for (let r = from; r < to; r++) {
    const out = a.out + <usize> r * a.stride;
    decodeRow(a, <usize> load<i32>(a.tokens + (<usize> r << 2)), out);
    if (a.factor != 1) {
      for (let i: usize = 0; i < a.n << 2; i += 4) {
        store<f32>(out + i, load<f32>(out + i) * a.factor);
      }
    }
  }
}
