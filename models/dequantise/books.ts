/**
 * Nibbles that stand for values of a book, and digits of base 3.
 *
 * @module
 */
import { BOOKS } from "../../core/weight_grids.ts";
import { type Block, type BlockDecoder, f16 } from "./block.ts";

/** Decoders by format. */
export const BOOK_TYPES = {
  // d 2 | qs 16
  IQ4_NL(src, at, out, to) {
    nibbles(BOOKS.NL, src, at + 2, 16, f16(src, at), out, to);
  },

  // 8 groups of 32, a six-bit scale each, biased by 32
  // d 2 | upper two bits of the scales 2 | lower four 4 | qs 128, 16 bytes a group
  IQ4_XS(src, at, out, to) {
    const d = f16(src, at), high = src.view.getUint16(at + 2, true);
    for (let g = 0; g < 8; g++) {
      const low = src.u8[at + 4 + (g >> 1)]! >> 4 * (g & 1) & 15;
      const scale = (low | (high >> 2 * g & 3) << 4) - 32;
      const qs = at + 8 + 16 * g;
      nibbles(BOOKS.NL, src, qs, 16, d * scale, out, to + 32 * g);
    }
  },

  // e 1 | qs 16; the scale is 2^(e - 128), to go with values that are doubled
  MXFP4(src, at, out, to) {
    const scale = 2 ** (src.u8[at]! - 128);
    nibbles(BOOKS.E2M1, src, at + 1, 16, scale, out, to);
  },

  // 4 groups of 16, a scale of 8 bits each
  // scales 4 | qs 32, 8 bytes a group
  NVFP4(src, at, out, to) {
    for (let g = 0; g < 4; g++) {
      const scale = e4m3(src.u8[at + g]!) / 2, qs = at + 4 + 8 * g;
      nibbles(BOOKS.E2M1, src, qs, 8, scale, out, to + 16 * g);
    }
  },

  // qs 64 | d 2
  // bytes 32h.. hold values 128h..; bits 2j of byte b: value 128h + 32j + b, plus 1
  TQ2_0(src, at, out, to) {
    const d = f16(src, at + 64);
    for (let i = 0; i < 256; i++) {
      const q = src.u8[at + 32 * (i >> 7) + (i & 31)]! >> 2 * (i >> 5 & 3) & 3;
      out[to + i] = d * (q - 1);
    }
  },

  // qs 48 | qh 4 | d 2, each byte five digits of base 3, qh's four: the first 32 bytes
  // hold the first digits of 32 values, their second digits the next 32, and so on;
  // then the next 16 bytes, then qh's 4
  TQ1_0(src, at, out, to) {
    const d = f16(src, at + 52);
    for (const [first, bytes, from, count] of TERNARY_RUNS) {
      for (let i = 0; i < count; i++) {
        const byte = src.u8[at + first + i % bytes]!;
        const power = 3 ** Math.floor(i / bytes);
        out[to + from + i] = d * (((byte * power & 255) * 3 >> 8) - 1);
      }
    }
  },
} as const satisfies Readonly<Record<string, BlockDecoder>>;

/** First byte and bytes of each run of TQ1_0, first value and values. */
const TERNARY_RUNS = [[0, 32, 0, 160], [32, 16, 160, 80], [
  48,
  4,
  240,
  16,
]] as const;

/** `count` bytes of nibbles: values i (low) and count + i (high). */
function nibbles(
  book: Int8Array,
  { u8 }: Block,
  at: number,
  count: number,
  scale: number,
  out: Float32Array,
  to: number,
): void {
  for (let i = 0; i < count; i++) {
    const q = u8[at + i]!;
    out[to + i] = scale * book[q & 15]!;
    out[to + count + i] = scale * book[q >> 4]!;
  }
}

/** An unsigned float of four exponent and three fraction bits; 127 stands for 0. */
function e4m3(code: number): number {
  const exponent = code >> 3 & 15, fraction = code & 7;
  if (code === 127) return 0;
  return exponent === 0
    ? fraction * 2 ** -9
    : (1 + fraction / 8) * 2 ** (exponent - 7);
}
