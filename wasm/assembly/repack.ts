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

/** Bits from `shift` on of each byte, as many as `mask` has. */
// @ts-ignore: decorator
@inline
export function bits(v: v128, shift: i32, mask: u8): v128 {
  return v128.and(i16x8.shr_u(v, shift), i8x16.splat(mask));
}

/** 32 codes of 4 bits, the second 16 in the upper halves: four to each of four lines. */
// @ts-ignore: decorator
@inline
export function putCodes(w: usize, first: v128, second: v128): void {
  const v = v128.or(first, i16x8.shl(second, 4));
  v128.store32_lane(w, v, 0);
  v128.store32_lane(w, v, 1, 16);
  v128.store32_lane(w, v, 2, 32);
  v128.store32_lane(w, v, 3, 48);
}

/** The four words of `v` put together; no two have a bit in common. */
// @ts-ignore: decorator
@inline
function words(v: v128): u32 {
  v = v128.or(v, i32x4.shuffle(v, v, 2, 3, 0, 1));
  v = v128.or(v, i32x4.shuffle(v, v, 1, 0, 3, 2));
  return i32x4.extract_lane(v, 0);
}

/** Pairs of bits, of each word in turn the lowest that are left. */
// @ts-ignore: decorator
@inline
function pairsOf(v: v128): u32 {
  return words(i32x4.mul(v, i32x4(1, 4, 16, 64)));
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
        const q = codes + ((j >> 1) << 5), shift = <i32> ((j & 1) << 2);
        const w = at + (half << 6) + lane;
        putCodes(w, bits(v128.load(q), shift, 15), bits(v128.load(q, 16), shift, 15));
        if (!five) continue;
        const low = bits(v128.load(p, 16), <i32> j, 1);
        const high = bits(v128.load(p, 32), <i32> j, 1);
        const sum = v128.or(
          i32x4.mul(low, i32x4(1, 2, 4, 8)),
          i32x4.mul(high, i32x4(16, 32, 64, 128)),
        );
        store<u32>(at + (half << 4) + lane, words(sum), 128);
      }
    }
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
        const low = <i32> ((t >> 1) << 2), high = <i32> (t << 1);
        putCodes(w, bits(v128.load(ql), low, 15), bits(v128.load(ql, 16), low, 15));
        store<u32>(pairs, pairsOf(bits(v128.load(qh), high, 3)));
        store<u32>(pairs, pairsOf(bits(v128.load(qh, 16), high, 3)), 16);
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
        const q = p + 16 + ((j >> 2) << 5), shift = <i32> ((j & 3) << 1);
        const w = at + (half << 6) + lane;
        putCodes(w, bits(v128.load(q), shift, 3), bits(v128.load(q, 16), shift, 3));
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
        const q = p + 32 + ((j >> 2) << 5), shift = <i32> ((j & 3) << 1);
        const w = at + (half << 6) + lane;
        const first = bits(v128.load(q), shift, 3);
        const second = bits(v128.load(q, 16), shift, 3);
        const third = i16x8.shl(bits(v128.load(p), <i32> j, 1), 2);
        const fourth = i16x8.shl(bits(v128.load(p, 16), <i32> j, 1), 2);
        putCodes(w, v128.or(first, third), v128.or(second, fourth));
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
