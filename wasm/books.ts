/**
 * Codebooks of weight formats as the kernels read them, at the start of the shared
 * memory; assembly/books.ts and assembly/repack_grids.ts name their addresses.
 *
 * @module
 */
import {
  type BookName,
  BOOKS,
  type GridName,
  gridOf,
} from "../core/weight_grids.ts";
import type { WeightType } from "../core/model.ts";

/** Address of the first book; 64 bytes each. */
export const BOOKS_AT = 256;

/**
 * Books in the order of the layouts that use them: NL and NLF, BOOK3, BOOK2, which are
 * wide, then E2M1, BOOK3S and BOOK1, whose values are below 16.
 */
const ORDER: readonly (readonly [name: BookName, wide: boolean])[] = [
  ["NL", true],
  ["IQ3_XXS", true],
  ["IQ2", true],
  ["E2M1", false],
  ["IQ3_S", false],
  ["IQ1", false],
];

/** Addresses of grids, a word of 32 bits a point. */
export const GRIDS_AT: { readonly [G in GridName]: number } = {
  IQ2_XXS: 640,
  IQ2_XS: 1664,
  IQ2_S: 3712,
  IQ3_XXS: 7808,
  IQ3_S: 8832,
  IQ1_S: 10880,
};

/** First address behind the grids. */
export const GRIDS_END = 19072;

/** Which grid a format counts on. */
const GRID_OF: Partial<Record<WeightType, GridName>> = {
  IQ2_XXS: "IQ2_XXS",
  IQ2_XS: "IQ2_XS",
  IQ2_S: "IQ2_S",
  IQ3_XXS: "IQ3_XXS",
  IQ3_S: "IQ3_S",
  IQ1_S: "IQ1_S",
  IQ1_M: "IQ1_S",
};

/** Writes all books, in the forms that assembly/books.ts draws. */
export function writeBooks(memory: WebAssembly.Memory): void {
  const bytes = new Uint8Array(memory.buffer);
  ORDER.forEach(([name, wide], i) => {
    const at = BOOKS_AT + 64 * i, values = BOOKS[name];
    values.forEach((v, code) => {
      bytes[at + code] = v;
      bytes[at + 16 + code] = wide ? (v + 128) >> 4 : v + 16;
      bytes[at + 32 + code] = (v + 128) & 15;
      bytes[at + 48 + code] = v + 128;
    });
  });
}

/** Writes the grids that weights of these formats count on. */
export function writeGrids(
  memory: WebAssembly.Memory,
  types: Iterable<WeightType>,
): void {
  const words = new Uint32Array(memory.buffer);
  for (const type of new Set(types)) {
    const name = GRID_OF[type];
    if (name !== undefined) words.set(gridOf(name), GRIDS_AT[name] / 4);
  }
}
