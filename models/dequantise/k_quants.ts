/**
 * 256 values in groups, whose scales are few bits under scales of their own.
 *
 * @module
 */
import { type BlockDecoder, f16 } from "./block.ts";

/** Decoders by format. */
export const K_QUANTS = {
  // 16 groups of 16: scale (low nibble) and minimum (high) each
  // scales 16 | qs 64 | d 2 | dmin 2
  // qs: bytes 32h.. hold values 128h..; bits 2j of byte b: value 128h + 32j + b
  Q2_K(src, at, out, to) {
    const d = f16(src, at + 80), dmin = f16(src, at + 82);
    for (let i = 0; i < 256; i++) {
      const scale = src.u8[at + (i >> 4)]!;
      const q = twoBits(src.u8, at + 16, i);
      out[to + i] = d * (scale & 15) * q - dmin * (scale >> 4);
    }
  },

  // hmask 32 | qs 64 as in Q2_K | scales 12 | d 2
  // Bit i / 32 of hmask byte i % 32 is value i's third bit; clear means minus 4.
  Q3_K(src, at, out, to) {
    const d = f16(src, at + 108);
    for (let i = 0; i < 256; i++) {
      const high = src.u8[at + (i & 31)]! >> (i >> 5) & 1;
      const q = twoBits(src.u8, at + 32, i) - (high ? 0 : 4);
      out[to + i] = d * (scaleOf3(src.u8, at + 96, i >> 4) - 32) * q;
    }
  },

  // 8 groups of 32: a six-bit scale and minimum each
  // d 2 | dmin 2 | scales 12 | qs 128
  // qs: bytes 32h.. hold values 64h + b (low nibble) and 64h + 32 + b (high)
  Q4_K(src, at, out, to) {
    const d = f16(src, at), dmin = f16(src, at + 2);
    for (let i = 0; i < 256; i++) {
      const { scale, min } = scaleOf4(src.u8, at + 4, i >> 5);
      out[to + i] = d * scale * nibbleOf64(src.u8, at + 16, i) - dmin * min;
    }
  },

  // d 2 | dmin 2 | scales 12 | fifth bits 32 | qs 128
  // Bit i / 32 of fifth-bits byte i % 32 belongs to value i.
  Q5_K(src, at, out, to) {
    const d = f16(src, at), dmin = f16(src, at + 2);
    for (let i = 0; i < 256; i++) {
      const { scale, min } = scaleOf4(src.u8, at + 4, i >> 5);
      const high = src.u8[at + 16 + (i & 31)]! >> (i >> 5) & 1;
      const q = nibbleOf64(src.u8, at + 48, i) | high << 4;
      out[to + i] = d * scale * q - dmin * min;
    }
  },

  // 16 groups of 16, a signed byte as scale each
  // ql 128 | qh 64 | scales 16 | d 2
  // Within each half h (128 values), value r = 32j + b has its low nibble in ql
  // byte 64h + 32 (j & 1) + b (high nibble of it for j >= 2) and its upper two
  // bits at bit 2j of qh byte 32h + b.
  Q6_K(src, at, out, to) {
    const d = f16(src, at + 208);
    for (let i = 0; i < 256; i++) {
      const h = i >> 7, j = i >> 5 & 3, b = i & 31;
      const low = src.u8[at + 64 * h + 32 * (j & 1) + b]! >> (j < 2 ? 0 : 4);
      const high = src.u8[at + 128 + 32 * h + b]! >> 2 * j & 3;
      const q = (low & 15 | high << 4) - 32;
      out[to + i] = d * src.view.getInt8(at + 192 + (i >> 4)) * q;
    }
  },
} as const satisfies Readonly<Record<string, BlockDecoder>>;

/** Value `i` of 256 two-bit values: see Q2_K's drawing. */
function twoBits(u8: Uint8Array, at: number, i: number): number {
  return u8[at + 32 * (i >> 7) + (i & 31)]! >> 2 * (i >> 5 & 3) & 3;
}

/** Value `i` of 256 four-bit values: see Q4_K's drawing. */
function nibbleOf64(u8: Uint8Array, at: number, i: number): number {
  return u8[at + 32 * (i >> 6) + (i & 31)]! >> (i & 32 ? 4 : 0) & 15;
}

/**
 * Scale `g` of Q3_K's sixteen, biased by 32. Low nibbles: bytes 0 to 7, groups
 * 0-7 in the low halves and 8-15 in the high ones. Upper two bits: bytes 8 to
 * 11, bits 2 (g / 4) of byte 8 + g % 4.
 */
function scaleOf3(u8: Uint8Array, at: number, g: number): number {
  const low = u8[at + (g & 7)]! >> (g < 8 ? 0 : 4) & 15;
  return low | (u8[at + 8 + (g & 3)]! >> 2 * (g >> 2) & 3) << 4;
}

/**
 * Scale and minimum `g` of Q4_K's and Q5_K's eight, six bits each. Groups 0-3:
 * low six bits of bytes g and g + 4. Groups 4-7: nibbles of byte g + 4 (scale
 * low, minimum high) under the spare top two bits of bytes g - 4 and g.
 */
function scaleOf4(
  u8: Uint8Array,
  at: number,
  g: number,
): { scale: number; min: number } {
  if (g < 4) return { scale: u8[at + g]! & 63, min: u8[at + g + 4]! & 63 };
  const both = u8[at + g + 4]!;
  return {
    scale: both & 15 | u8[at + g - 4]! >> 6 << 4,
    min: both >> 4 | u8[at + g]! >> 6 << 4,
  };
}
