// Matrix times quantised rows, for weights of 4 bits that stand for values of a book.
//
// Panels, blocks and codes lie as those of 4 bits in quants.ts do:
//
// ```text
//  { codes [2 halves] 64 B,  d [8] }      d is f16 for NL, else f32
// ```
// A book is 16 signed bytes. Products want one factor of at most 7 bits without a
// sign, so books are kept in several forms, which wasm/books.ts writes:
//
// ```text
//  0   v          as they are
//  16  v + 16, or where a book is wide the upper four bits of v + 128
//  32             the lower four bits of v + 128
//  48  v + 128
// ```
// A wide book takes two products a code where only pairs of 7 bits can be summed; what
// was added to v is taken away once a block, as quants.ts does with offsets. All sums
// are exact, so every way gives the same.
import { booksRow } from "./books_row";
import { booksTile } from "./books_tile";
import * as kind from "./kinds";
import { PAIRS, QUADS_S8, QUADS_U8 } from "./lanes";
import { Product } from "./product";

/** The first book; 64 bytes each. */
// @ts-ignore: decorator
@inline const BOOKS: usize = 256;

/** Address of the book that a layout's codes stand for. */
// @ts-ignore: decorator
@inline
export function bookOf(layout: i32): usize {
  return BOOKS + (<usize> (layout == kind.NL ? 0 : layout - kind.NLF) << 6);
}

// @ts-ignore: decorator
@inline
function product(
  mode: i32,
  wide: bool,
  half: bool,
  book: usize,
  a: Product,
  from: i32,
  to: i32,
): void {
  const rows = load<i32>(a.rows), left = rows & 3;
  const tiles = (rows >> 2) + (left == 3 ? 1 : 0);
  for (let p = from; p < to; p++) {
    for (let t = 0; t < tiles; t++) {
      booksTile(mode, wide, half, book, a, t, p, 0);
      booksTile(mode, wide, half, book, a, t, p, 1);
    }
  }
  if (left == 3) return;
  for (let r = tiles << 2; r < rows; r++) {
    booksRow(mode, wide, half, book, a, r, from, to);
  }
}

/** The book of IQ4_NL with f16 scales. */
export function nl(mode: i32, a: Product, from: i32, to: i32): void {
  const book = bookOf(kind.NL);
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (mode == QUADS_U8) return product(QUADS_U8, true, true, book, a, from, to);
    if (mode == QUADS_S8) return product(QUADS_S8, true, true, book, a, from, to);
  }
  product(PAIRS, true, true, book, a, from, to);
}

/** Books of 8 bits with f32 scales. */
export function wide(
  mode: i32,
  layout: i32,
  a: Product,
  from: i32,
  to: i32,
): void {
  const book = bookOf(layout);
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (mode == QUADS_U8) return product(QUADS_U8, true, false, book, a, from, to);
    if (mode == QUADS_S8) return product(QUADS_S8, true, false, book, a, from, to);
  }
  product(PAIRS, true, false, book, a, from, to);
}

/** Books of values below 16 with f32 scales. */
export function small(
  mode: i32,
  layout: i32,
  a: Product,
  from: i32,
  to: i32,
): void {
  const book = bookOf(layout);
  if (ASC_FEATURE_RELAXED_SIMD) {
    if (mode != PAIRS) return product(QUADS_U8, false, false, book, a, from, to);
  }
  product(PAIRS, false, false, book, a, from, to);
}
