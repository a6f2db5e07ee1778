// From GGUF rows to the lane layouts, which are drawn in quants.ts and kquants.ts.
// `src` holds whole rows of the file, eight to a panel; where the last panel lacks
// rows, its lanes stay as they are (zeros in a fresh memory).
import { fromHalf } from "./lanes";

@unmanaged
export class Repack {
  /** Rows of the file, `rowBytes` each. */
  src: usize;
  rowBytes: usize;
  /** Rows there are; outputs beyond them are padding. */
  rows: i32;
  /** The first panel written. */
  w: usize;
  /** Values in a row. */
  n: usize;
}

/** Values of `size` bytes as they are: [panel][input]{ 8 }. */
export function repackFloats(a: Repack, size: i32): void {
  const n = a.n;
  for (let r = 0; r < a.rows; r++) {
    const from = a.src + <usize> r * a.rowBytes;
    let i = ((<usize> (r >> 3) * n) << 3) + <usize> (r & 7);
    for (let k: usize = 0; k < n; k++, i += 8) {
      if (size == 4) store<u32>(a.w + (i << 2), load<u32>(from + (k << 2)));
      else store<u16>(a.w + (i << 1), load<u16>(from + (k << 1)));
    }
  }
}

/**
 * Q4_0, Q4_1, Q5_0, Q5_1: { d, [m], [32 fifth bits], 32 low codes }. The file's
 * order of nibbles is the lane layout's own.
 */
export function repackLegacy(a: Repack, five: bool, min: bool): void {
  const nb = a.n >> 5, scales: usize = five ? 160 : 128;
  const size: usize = scales + (min ? 32 : 16);
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * size;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    const place = <usize> (r & 7) << 1;
    for (let b: usize = 0; b < nb; b++, at += size) {
      store<u16>(at + scales + place, load<u16>(p));
      p += 2;
      if (min) {
        store<u16>(at + scales + 16 + place, load<u16>(p));
        p += 2;
      }
      if (five) {
        const h = load<u32>(p);
        p += 4;
        store<u32>(
          at + (half << 4) + lane,
          fifths(h & 0xffff) | (fifths(h >> 16) << 4),
          128,
        );
      }
      const w = at + (half << 6) + lane;
      store<u32>(w, load<u32>(p));
      store<u32>(w, load<u32>(p, 4), 16);
      store<u32>(w, load<u32>(p, 8), 32);
      store<u32>(w, load<u32>(p, 12), 48);
      p += 16;
    }
  }
}

/** Bit 4j+i of 16 bits becomes bit j of byte i: a 4 × 4 transposition, spread. */
// @ts-ignore: decorator
@inline
function fifths(x: u32): u32 {
  let t = (x ^ (x >> 3)) & 0x0a0a;
  x ^= t ^ (t << 3);
  t = (x ^ (x >> 6)) & 0x00cc;
  x ^= t ^ (t << 6);
  return (x & 0xf) | ((x & 0xf0) << 4) | ((x & 0xf00) << 8) |
    ((x & 0xf000) << 12);
}

/** Q8_0: { d, 32 codes }. */
export function repackBytes(a: Repack): void {
  const nb = a.n >> 5;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * 272;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let b: usize = 0; b < nb; b++, at += 272, p += 34) {
      store<u16>(at + 256 + (<usize> (r & 7) << 1), load<u16>(p));
      const w = at + (half << 7) + lane;
      for (let j: usize = 0; j < 8; j++) {
        store<u32>(w + (j << 4), load<u32>(p + 2 + (j << 2)));
      }
    }
  }
}

/** IQ4_NL: { d, 32 codes of a book of 16 }, stored as the signed bytes they mean. */
export function repackBook(a: Repack): void {
  const nb = a.n >> 5;
  const book = i8x16(
    -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
  );
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * 272;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let b: usize = 0; b < nb; b++, at += 272, p += 18) {
      store<u16>(at + 256 + (<usize> (r & 7) << 1), load<u16>(p));
      const v = v128.load(p, 2), mask = i8x16.splat(15);
      const lo = i8x16.swizzle(book, v128.and(v, mask));
      const hi = i8x16.swizzle(book, v128.and(i16x8.shr_u(v, 4), mask));
      const w = at + (half << 7) + lane;
      v128.store32_lane(w, lo, 0);
      v128.store32_lane(w, lo, 1, 16);
      v128.store32_lane(w, lo, 2, 32);
      v128.store32_lane(w, lo, 3, 48);
      v128.store32_lane(w, hi, 0, 64);
      v128.store32_lane(w, hi, 1, 80);
      v128.store32_lane(w, hi, 2, 96);
      v128.store32_lane(w, hi, 3, 112);
    }
  }
}

/** The six-bit scale and minimum of sub-block `j` (0..7) of Q4_K and Q5_K. */
// @ts-ignore: decorator
@inline
function sixBits(p: usize, j: usize, min: bool): u32 {
  if (j < 4) return load<u8>(p + j + (min ? 4 : 0)) & 63;
  const q = load<u8>(p + j + 4);
  return (min ? q >> 4 : q & 15) |
    ((load<u8>(p + j - (min ? 0 : 4)) >> 6) << 4);
}

/**
 * Q4_K and Q5_K: { d, dmin, 12 B of six-bit scales and minima, [32 B of fifth bits],
 * 128 B of nibbles }. Sub-blocks 2i and 2i+1 are the low and high nibbles of the same
 * 32 bytes; here each becomes a block of 32 inputs.
 */
export function repackSuper(a: Repack, five: bool): void {
  const nb = a.n >> 5, scales: usize = five ? 160 : 128, size = scales + 64;
  const bytes: usize = five ? 176 : 144;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * size;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let s: usize = 0; s < nb; s += 8, p += bytes) {
      const d = fromHalf(load<u16>(p)), dmin = fromHalf(load<u16>(p, 2));
      const codes = p + (five ? 48 : 16);
      for (let j: usize = 0; j < 8; j++, at += size) {
        const to = at + scales + (<usize> (r & 7) << 2);
        store<f32>(to, d * <f32> sixBits(p + 4, j, false));
        store<f32>(to, -(dmin * <f32> sixBits(p + 4, j, true)), 32);
        const q = codes + ((j >> 1) << 5), shift = <u8> ((j & 1) << 2);
        const w = at + (half << 6) + lane;
        for (let k: usize = 0; k < 16; k++) {
          const lo = (load<u8>(q + k) >> shift) & 15;
          const hi = (load<u8>(q + k + 16) >> shift) & 15;
          store<u8>(w + ((k >> 2) << 4) + (k & 3), lo | (hi << 4));
        }
        if (!five) continue;
        for (let c: usize = 0; c < 4; c++) {
          let bits: u8 = 0;
          for (let v: usize = 0; v < 4; v++) {
            const k = v * 4 + c;
            bits |= ((load<u8>(p + 16 + k) >> <u8> j) & 1) << <u8> v;
            bits |= ((load<u8>(p + 32 + k) >> <u8> j) & 1) << <u8> (4 + v);
          }
          store<u8>(at + (half << 4) + lane + c, bits, 128);
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function putCode(w: usize, pairs: usize, k: usize, c: u32, six: bool): void {
  const at = k & 15, j = at >> 2, high = k >> 4;
  const p = w + (j << 4) + (at & 3);
  if (high) store<u8>(p, load<u8>(p) | <u8> ((c & 15) << 4));
  else store<u8>(p, <u8> (c & 15));
  if (six) {
    const h = pairs + (high << 4) + (at & 3);
    const bits = (c >> 4) << <u32> (j << 1);
    store<u8>(h, j == 0 ? <u8> bits : load<u8>(h) | <u8> bits);
  }
}

/** Q6_K: { 128 B low nibbles, 64 B upper pairs, 16 int8 scales, d }. */
export function repackSix(a: Repack): void {
  const nb = a.n >> 5;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * (nb >> 3) * 1696;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let s: usize = 0; s < nb; s += 8, p += 210, at += 32) {
      for (let j: usize = 0; j < 8; j++, at += 208) {
        // Value 128h + 32t + l: nibble 64h + 32(t & 1) + l, upper half for t > 1.
        const h = j >> 2, t = j & 3;
        const ql = p + (h << 6) + ((t & 1) << 5), qh = p + 128 + (h << 5);
        const w = at + (half << 6) + lane, pairs = at + 128 + (half << 5) + lane;
        for (let k: usize = 0; k < 32; k++) {
          const c = ((load<u8>(ql + k) >> <u8> ((t >> 1) << 2)) & 15) |
            (((load<u8>(qh + k) >> <u8> (t << 1)) & 3) << 4);
          putCode(w, pairs, k, c, true);
        }
        const sc = at + 192 + (half << 3) + (lane >> 2);
        store<u8>(sc, load<u8>(p + 192 + (j << 1)));
        store<u8>(sc, load<u8>(p + 193 + (j << 1)), 4);
      }
      store<f32>(at + (<usize> (r & 7) << 2), fromHalf(load<u16>(p, 208)));
    }
  }
}

/** Q2_K: { 16 B of scale and minimum nibbles, 64 B of codes, d, dmin }. */
export function repackTwo(a: Repack): void {
  const nb = a.n >> 5;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * (nb >> 3) * 1344;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let s: usize = 0; s < nb; s += 8, p += 84, at += 64) {
      for (let j: usize = 0; j < 8; j++, at += 160) {
        const q = p + 16 + ((j >> 2) << 5), shift = <u8> ((j & 3) << 1);
        const w = at + (half << 6) + lane;
        for (let k: usize = 0; k < 32; k++) {
          putCode(w, 0, k, (load<u8>(q + k) >> shift) & 3, false);
        }
        const sc = at + 128 + (half << 3) + (lane >> 2);
        for (let g: usize = 0; g < 2; g++) {
          const v = load<u8>(p + (j << 1) + g);
          store<u8>(sc + (g << 2), v & 15);
          store<u8>(sc + (g << 2), v >> 4, 16);
        }
      }
      const d = at + (<usize> (r & 7) << 2);
      store<f32>(d, fromHalf(load<u16>(p, 80)));
      store<f32>(d, -fromHalf(load<u16>(p, 82)), 32);
    }
  }
}

/** Q3_K: { 32 B of third bits, 64 B of codes, 12 B of six-bit scales, d }. */
export function repackThree(a: Repack): void {
  const nb = a.n >> 5;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * (nb >> 3) * 1184;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let s: usize = 0; s < nb; s += 8, p += 110, at += 32) {
      for (let j: usize = 0; j < 8; j++, at += 144) {
        const q = p + 32 + ((j >> 2) << 5), shift = <u8> ((j & 3) << 1);
        const w = at + (half << 6) + lane;
        for (let k: usize = 0; k < 32; k++) {
          const third = (load<u8>(p + k) >> <u8> j) & 1;
          const c = ((load<u8>(q + k) >> shift) & 3) | (third << 2);
          putCode(w, 0, k, c, false);
        }
        const sc = at + 128 + (half << 3) + (lane >> 2);
        for (let g: usize = 0; g < 2; g++) {
          const i = (j << 1) + g;
          const low = (load<u8>(p + 96 + (i & 7)) >> <u8> ((i >> 3) << 2)) & 15;
          const high = (load<u8>(p + 104 + (i & 3)) >> <u8> ((i >> 2) << 1)) & 3;
          store<u8>(sc + (g << 2), <u8> (<i32> (low | (high << 4)) - 32));
        }
      }
      store<f32>(at + (<usize> (r & 7) << 2), fromHalf(load<u16>(p, 108)));
    }
  }
}
