// From GGUF rows whose nibbles are codes already to the lane layouts of books.ts; and
// from digits of base 3 to Q4's.
import { fromHalf } from "./lanes";
import { bits, putCodes, Repack } from "./repack";

/** 32 nibbles, in the order of the lanes, to one output's place in a block. */
// @ts-ignore: decorator
@inline
function putNibbles(w: usize, p: usize): void {
  store<u32>(w, load<u32>(p));
  store<u32>(w, load<u32>(p, 4), 16);
  store<u32>(w, load<u32>(p, 8), 32);
  store<u32>(w, load<u32>(p, 12), 48);
}

/** MXFP4: { e, 16 B of nibbles }; the scale is 2^(e - 128), a subnormal below 2. */
export function repackPowers(a: Repack): void {
  const nb = a.n >> 5;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * 160;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let b: usize = 0; b < nb; b++, at += 160, p += 17) {
      const e = <u32> load<u8>(p);
      store<u32>(at + 128 + (<usize> (r & 7) << 2), e < 2 ? 0x200000 << e : (e - 1) << 23);
      putNibbles(at + (half << 6) + lane, p + 1);
    }
  }
}

/** IQ4_XS: { d, 16 bits and 4 B of six-bit scales, 8 × 16 B of nibbles }. */
export function repackScaled(a: Repack): void {
  const nb = a.n >> 5;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * 160;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let s: usize = 0; s < nb; s += 8, p += 136) {
      const d = fromHalf(load<u16>(p)), high = <u32> load<u16>(p, 2);
      for (let j: usize = 0; j < 8; j++, at += 160) {
        const low = (load<u8>(p + 4 + (j >> 1)) >> <u8> ((j & 1) << 2)) & 15;
        const scale = <i32> (low | (((high >> <u32> (j << 1)) & 3) << 4)) - 32;
        store<f32>(at + 128 + (<usize> (r & 7) << 2), d * <f32> scale);
        putNibbles(at + (half << 6) + lane, p + 8 + (j << 4));
      }
    }
  }
}

/** TQ2_0: { 64 B of two-bit codes, d }, codes of -1 to 2 plus 1. */
export function repackPairs(a: Repack): void {
  const nb = a.n >> 5, more = i8x16.splat(7);
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * 144;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let s: usize = 0; s < nb; s += 8, p += 66) {
      for (let j: usize = 0; j < 8; j++, at += 144) {
        const q = p + ((j >> 2) << 5), shift = <i32> ((j & 3) << 1);
        putCodes(
          at + (half << 6) + lane,
          i8x16.add(bits(v128.load(q), shift, 3), more),
          i8x16.add(bits(v128.load(q, 16), shift, 3), more),
        );
        store<u16>(at + 128 + (<usize> (r & 7) << 1), load<u16>(p, 64));
      }
    }
  }
}

/** TQ1_0: { 52 B of digits of base 3, d }; models/dequantise/books.ts draws them. */
export function repackDigits(a: Repack): void {
  const nb = a.n >> 5;
  for (let r = 0; r < a.rows; r++) {
    let p = a.src + <usize> r * a.rowBytes;
    let at = a.w + <usize> (r >> 3) * nb * 144;
    const half = <usize> (r >> 2) & 1, lane = <usize> (r & 3) << 2;
    for (let s: usize = 0; s < nb; s += 8, p += 54) {
      for (let i: usize = 0; i < 256; i += 32, at += 144) {
        const w = at + (half << 6) + lane;
        for (let k: usize = 0; k < 16; k++) {
          const both = digit(p, i + k) | (digit(p, i + 16 + k) << 4);
          store<u8>(w + ((k >> 2) << 4) + (k & 3), <u8> both);
        }
        store<u16>(at + 128 + (<usize> (r & 7) << 1), load<u16>(p, 52));
      }
    }
  }
}

/** Value `i` of TQ1_0's 256, plus 8: digit 0, 1 or 2 is -1, 0 or 1. */
function digit(p: usize, i: usize): u32 {
  let power: u32 = 1, byte: u32;
  if (i < 160) {
    byte = load<u8>(p + (i & 31));
    i >>= 5;
  } else if (i < 240) {
    byte = load<u8>(p + 32 + (i & 15));
    i = (i - 160) >> 4;
  } else {
    byte = load<u8>(p + 48 + (i & 3));
    i = (i - 240) >> 2;
  }
  for (; i > 0; i--) power *= 3;
  return ((((byte * power) & 255) * 3) >> 8) + 7;
}
