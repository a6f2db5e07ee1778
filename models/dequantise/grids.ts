/**
 * Vectors of eight or four values out of a grid, their signs apart.
 *
 * A vector's signs are a bit each, set for negative. Where only seven are stored, the
 * eighth makes their number even.
 *
 * @module
 */
import { BOOKS, gridOf } from "../../core/weight_grids.ts";
import { type BlockDecoder, f16 } from "./block.ts";

/** Decoders by format. */
export const GRID_TYPES = {
  // d 2 | 8 groups of 32: four indices 4, then 7 signs of each and 4 bits of scale 4
  IQ2_XXS(src, at, out, to) {
    const d = f16(src, at), grid = gridOf("IQ2_XXS");
    for (let g = 0; g < 8; g++) {
      const p = at + 2 + 8 * g, more = src.view.getUint32(p + 4, true);
      const scale = d * (0.5 + (more >>> 28)) / 4;
      for (let v = 0; v < 4; v++) {
        const point = grid[src.u8[p + v]!]!, signs = even(more >>> 7 * v & 127);
        vector(BOOKS.IQ2, point, 8, signs, scale, out, to + 32 * g + 8 * v);
      }
    }
  },

  // d 2 | 32 vectors: 9 bits of index and 7 signs 2 | scales 8, four bits for 16 values
  IQ2_XS(src, at, out, to) {
    const d = f16(src, at), grid = gridOf("IQ2_XS");
    for (let v = 0; v < 32; v++) {
      const q = src.view.getUint16(at + 2 + 2 * v, true);
      const scale = d * (0.5 + nibble(src.u8, at + 66, v >> 1)) / 4;
      const point = grid[q & 511]!;
      vector(BOOKS.IQ2, point, 8, even(q >> 9), scale, out, to + 8 * v);
    }
  },

  // d 2 | qs 32 | signs 32 | upper two bits of four indices a byte 8 | scales 8
  IQ2_S(src, at, out, to) {
    const d = f16(src, at), grid = gridOf("IQ2_S");
    for (let v = 0; v < 32; v++) {
      const high = src.u8[at + 66 + (v >> 2)]! >> 2 * (v & 3) & 3;
      const point = grid[src.u8[at + 2 + v]! | high << 8]!;
      const scale = d * (0.5 + nibble(src.u8, at + 74, v >> 1)) / 4;
      const signs = src.u8[at + 34 + v]!;
      vector(BOOKS.IQ2, point, 8, signs, scale, out, to + 8 * v);
    }
  },

  // d 2 | qs 64, an index for four values | 8 groups of 32: 7 signs of each eight
  // values and 4 bits of scale 4
  IQ3_XXS(src, at, out, to) {
    const d = f16(src, at), grid = gridOf("IQ3_XXS");
    for (let v = 0; v < 64; v++) {
      const more = src.view.getUint32(at + 66 + 4 * (v >> 3), true);
      const scale = d * (0.5 + (more >>> 28)) / 2;
      const signs = even(more >>> 7 * (v >> 1 & 3) & 127) >> 4 * (v & 1);
      const point = grid[src.u8[at + 2 + v]!]!;
      vector(BOOKS.IQ3_XXS, point, 4, signs, scale, out, to + 4 * v);
    }
  },

  // d 2 | qs 64 | ninth bits of eight indices a byte 8 | signs 32 | scales 4, four bits
  // for 32 values
  IQ3_S(src, at, out, to) {
    const d = f16(src, at), grid = gridOf("IQ3_S");
    for (let v = 0; v < 64; v++) {
      const high = src.u8[at + 66 + (v >> 3)]! >> (v & 7) & 1;
      const point = grid[src.u8[at + 2 + v]! | high << 8]!;
      const scale = d * (1 + 2 * nibble(src.u8, at + 106, v >> 3));
      const signs = src.u8[at + 74 + (v >> 1)]! >> 4 * (v & 1);
      vector(BOOKS.IQ3_S, point, 4, signs, scale, out, to + 4 * v);
    }
  },

  // d 2 | qs 32 | 8 groups of 32: upper three bits of four indices, three bits of
  // scale, and which way values are shifted 2
  IQ1_S(src, at, out, to) {
    const d = f16(src, at), grid = gridOf("IQ1_S");
    for (let v = 0; v < 32; v++) {
      const more = src.view.getUint16(at + 34 + 2 * (v >> 2), true);
      const point = grid[src.u8[at + 2 + v]! | (more >> 3 * (v & 3) & 7) << 8]!;
      const scale = d * (1 + 2 * (more >> 12 & 7)) / 8;
      const shift = more & 0x8000 ? 255 : 0;
      vector(BOOKS.IQ1, point, 8, shift, scale, out, to + 8 * v);
    }
  },

  // qs 32 | 16 pairs of vectors: upper three bits of an index and which way values are
  // shifted, a nibble each 16 | 4 words: four scales of three bits, for 16 values each,
  // and a nibble of d, the lowest first 8
  IQ1_M(src, at, out, to) {
    const word = (i: number): number =>
      src.view.getUint16(at + 48 + 2 * i, true);
    new DataView(half.buffer).setUint16(
      0,
      word(0) >> 12 | word(1) >> 8 & 0xf0 | word(2) >> 4 & 0xf00 |
        word(3) & 0xf000,
      true,
    );
    const d = half[0]!, grid = gridOf("IQ1_S");
    for (let v = 0; v < 32; v++) {
      const more = nibble(src.u8, at + 32, v);
      const point = grid[src.u8[at + v]! | (more & 7) << 8]!;
      const scale = d * (1 + 2 * (word(v >> 3) >> 3 * (v >> 1 & 3) & 7)) / 8;
      const shift = more & 8 ? 255 : 0;
      vector(BOOKS.IQ1, point, 8, shift, scale, out, to + 8 * v);
    }
  },
} as const satisfies Readonly<Record<string, BlockDecoder>>;

const half = new Float16Array(1);

/** Values of one vector; the upper half of a book is taken where a sign is set. */
function vector(
  book: Int8Array,
  point: number,
  count: number,
  signs: number,
  scale: number,
  out: Float32Array,
  to: number,
): void {
  for (let i = 0; i < count; i++) {
    const code = point >>> 4 * i & 7 | (signs >> i & 1) << 3;
    out[to + i] = scale * book[code]!;
  }
}

/** Seven signs with the eighth. */
function even(signs: number): number {
  let odd = signs;
  for (const shift of [4, 2, 1]) odd ^= odd >> shift;
  return signs | (odd & 1) << 7;
}

/** Nibble `i` of bytes from `at` on. */
function nibble(u8: Uint8Array, at: number, i: number): number {
  return u8[at + (i >> 1)]! >> 4 * (i & 1) & 15;
}
