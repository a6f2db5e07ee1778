/**
 * Weights decoded to f32 one value at a time: the plain definition of each
 * format, against which every fast kernel is tested.
 *
 * Results are bit-equal to ggml's. Scales are f16 (11 significant bits) and
 * what multiplies them has at most 14, so each product and each difference
 * below is exact in f64 and rounds once, when it is stored as f32. ggml's own
 * f32 intermediate values are exact too, so both round at the same place.
 *
 * In the drawings `d` and `m` are f16, numbers are bytes, and a block's
 * nibbles (`qs`) hold values i (low) and i + half (high) unless said otherwise.
 *
 * @module
 */
import type { WeightType } from "../core/model.ts";
import { TENSOR_TYPES } from "./tensor_types.ts";

/** The sixteen values an IQ4_NL nibble stands for, before scaling. */
// deno-fmt-ignore
export const IQ4_NL_VALUES: Int8Array = new Int8Array([
  -127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113,
]);

/** Decodes one block that starts at byte `at` to `out[to]` and on. */
type BlockDecoder = (
  src: Block,
  at: number,
  out: Float32Array,
  to: number,
) => void;

interface Block {
  readonly u8: Uint8Array;
  readonly view: DataView;
}

/**
 * Decodes whole blocks of `type` to f32.
 *
 * @param bytes Blocks as stored in a GGUF file; a view at any byte offset.
 * @param out Receives `bytes.length / block bytes * block values` values.
 * @throws {RangeError} if `bytes` is not whole blocks or `out` has another length.
 */
export function dequantise(
  type: WeightType,
  bytes: Uint8Array,
  out: Float32Array,
): void {
  const info = TENSOR_TYPES[type];
  const blocks = bytes.length / info.bytes;
  if (!Number.isInteger(blocks) || out.length !== blocks * info.values) {
    throw new RangeError(
      `Cannot decode ${type}: ${bytes.length} bytes at ${info.bytes} a block ` +
        `make ${blocks * info.values} values, "out" holds ${out.length}`,
    );
  }
  const decode = DECODERS[type];
  const src: Block = {
    u8: bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
  };
  for (let b = 0; b < blocks; b++) {
    decode(src, b * info.bytes, out, b * info.values);
  }
}

const f16 = ({ view }: Block, at: number): number => view.getFloat16(at, true);

const DECODERS: { readonly [T in WeightType]: BlockDecoder } = {
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

  // d 2 | qs 16, each nibble an index into IQ4_NL_VALUES
  IQ4_NL(src, at, out, to) {
    const d = f16(src, at);
    for (let i = 0; i < 16; i++) {
      const q = src.u8[at + 2 + i]!;
      out[to + i] = d * IQ4_NL_VALUES[q & 15]!;
      out[to + 16 + i] = d * IQ4_NL_VALUES[q >> 4]!;
    }
  },
};

const bits = new Int32Array(1);
const bitsAsF32 = new Float32Array(bits.buffer);

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
