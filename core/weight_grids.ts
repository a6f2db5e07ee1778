/**
 * What weight formats with codebooks count on, expanded when it is first asked for:
 * the books of 16 values that nibbles stand for, and the grids of small vectors.
 *
 * @module
 */
import { GRID_DATA } from "./grid_data.ts";

/** A grid, by the first format that uses it. */
export type GridName = keyof typeof GRID_DATA;

const grids = new Map<GridName, Uint32Array>();

/**
 * The grid's vectors, an index into a book in each nibble, the first lowest: eight of
 * them, for IQ3 four.
 */
export function gridOf(name: GridName): Uint32Array {
  let grid = grids.get(name);
  if (grid === undefined) {
    const bytes = Uint8Array.fromBase64(GRID_DATA[name]);
    const words = new Uint16Array(bytes.buffer);
    grid = Uint32Array.from(words, name.startsWith("IQ3") ? (w) => w : nibbles);
    grids.set(name, grid);
  }
  return grid;
}

/** Eight pairs of bits, each moved to a nibble of its own. */
function nibbles(word: number): number {
  let out = 0;
  for (let i = 0; i < 8; i++) out |= (word >> 2 * i & 3) << 4 * i;
  return out;
}

/**
 * Books by name. Where a format keeps signs apart, codes from 8 on are the negative
 * values of those before; unused codes are 0.
 */
export const BOOKS = {
  /** IQ4_NL and IQ4_XS. */
  NL: book(
    ...[-127, -104, -83, -65, -49, -35, -22, -10],
    ...[1, 13, 25, 38, 53, 69, 89, 113],
  ),
  /** IQ3_XXS. */
  IQ3_XXS: signed(4, 12, 20, 28, 36, 44, 52, 62),
  /** IQ2_XXS, IQ2_XS and IQ2_S. */
  IQ2: signed(8, 25, 43, 0, 0, 0, 0, 0),
  /** Twice the values of E2M1: MXFP4 and NVFP4. */
  E2M1: signed(0, 1, 2, 3, 4, 6, 8, 12),
  /** IQ3_S. */
  IQ3_S: signed(1, 3, 5, 7, 9, 11, 13, 15),
  /** Eight times what IQ1_S and IQ1_M stand for: -1, 0 or 1, plus or minus 1/8. */
  IQ1: book(...[-7, 1, 9, 0, 0, 0, 0, 0], ...[-9, -1, 7, 0, 0, 0, 0, 0]),
} as const;

/** A book. */
export type BookName = keyof typeof BOOKS;

function book(...values: number[]): Int8Array {
  return Int8Array.from(values);
}

function signed(...values: number[]): Int8Array {
  return Int8Array.from([...values, ...values.map((v) => -v)]);
}
