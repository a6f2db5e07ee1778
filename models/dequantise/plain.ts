/**
 * Floats, and 32 values with a scale, and perhaps a minimum, of their own.
 *
 * @module
 */
import { type BlockDecoder, f16 } from "./block.ts";

/** Decoders by format. */
export const PLAIN = {
  F32({ view }, at, out, to) {
    out[to] = view.getFloat32(at, true);
  },

  F16(src, at, out, to) {
    out[to] = f16(src, at);
  },

  // The upper half of an f32.
  BF16({ view }, at, out, to) {
    bits[0] = view.getUint16(at, true) << 16;
    out[to] = bitsAsF32[0]!;
  },

  // d 2 | 32 signed bytes
  Q8_0(src, at, out, to) {
    const d = f16(src, at);
    for (let i = 0; i < 32; i++) out[to + i] = d * src.view.getInt8(at + 2 + i);
  },

  // d 2 | qs 16
  Q4_0(src, at, out, to) {
    const d = f16(src, at);
    for (let i = 0; i < 16; i++) {
      const q = src.u8[at + 2 + i]!;
      out[to + i] = d * ((q & 15) - 8);
      out[to + 16 + i] = d * ((q >> 4) - 8);
    }
  },

  // d 2 | m 2 | qs 16
  Q4_1(src, at, out, to) {
    const d = f16(src, at), m = f16(src, at + 2);
    for (let i = 0; i < 16; i++) {
      const q = src.u8[at + 4 + i]!;
      out[to + i] = d * (q & 15) + m;
      out[to + 16 + i] = d * (q >> 4) + m;
    }
  },

  // d 2 | fifth bits 4, bit i of the little-endian word for value i | qs 16
  Q5_0(src, at, out, to) {
    const d = f16(src, at), high = src.view.getUint32(at + 2, true);
    for (let i = 0; i < 16; i++) {
      const q = src.u8[at + 6 + i]!;
      out[to + i] = d * (((q & 15) | (high >>> i & 1) << 4) - 16);
      out[to + 16 + i] = d * ((q >> 4 | (high >>> i + 16 & 1) << 4) - 16);
    }
  },

  // d 2 | m 2 | fifth bits 4 | qs 16
  Q5_1(src, at, out, to) {
    const d = f16(src, at), m = f16(src, at + 2);
    const high = src.view.getUint32(at + 4, true);
    for (let i = 0; i < 16; i++) {
      const q = src.u8[at + 8 + i]!;
      out[to + i] = d * ((q & 15) | (high >>> i & 1) << 4) + m;
      out[to + 16 + i] = d * (q >> 4 | (high >>> i + 16 & 1) << 4) + m;
    }
  },
} as const satisfies Readonly<Record<string, BlockDecoder>>;

const bits = new Int32Array(1);
const bitsAsF32 = new Float32Array(bits.buffer);
