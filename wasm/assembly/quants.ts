// Matrix times quantised rows, for weights of 4, 5 and 8 bits with a scale per
// block of 32 inputs.
//
// Weights lie in panels of eight outputs, two halves of four, so that a lane of an
// accumulator is an output and no sum ever crosses lanes. A block is 32 inputs of
// one panel; blocks follow one another, so that a matrix is read as one stream:
//
// ```text
//  4 bits  { codes [2 halves] 64 B,                     d [8], m [8] }
//  5 bits  { codes [2 halves] 64 B, fifths [2] 16 B,    d [8], m [8] }
//  8 bits  { codes [2 halves] 128 B,                    d [8] }
//
//  codes of 4 bits   vector j (0..3), bytes 4r..4r+3: output r; low nibbles are
//                    inputs 4j..4j+3, high nibbles inputs 16+4j..16+4j+3
//  fifths            in byte i of output r, bit j belongs to input 4j+i and bit
//                    4+j to input 16+4j+i
//  codes of 8 bits   vector j (0..7), bytes 4r..4r+3: inputs 4j..4j+3 of output r
// ```
// Scales d and minima m are f16 where the file's are f16 and else f32.
//
// Rows of activations lie in tiles of four, so that one pointer serves a tile:
//
// ```text
//  codes  xq  [tile][block][4 rows][32]  int8
//  sums   xi  [tile][block][4 rows]      i32 sum of the codes
//  scales xs  [tile][block]{ scale·2^72 [4], scale·2^72·sum [4] }  f32
//  plain  xf  the same without 2^72, for weights whose scales are f32
// ```
//
// Every output adds its blocks in the same order, whatever the tile: a row's
// result does not depend on the rows beside it.
import { PAIRS, QUADS_S8, QUADS_U8 } from "./lanes";
import { Product } from "./product";
import { oneRow } from "./quants_row";
import { fourRows } from "./quants_tile";

/** Rows are cut into tiles of four; one or two left over go one at a time. */
// @ts-ignore: decorator
@inline
function product(
  bits: i32,
  mode: i32,
  half: bool,
  min: bool,
  off: i32,
  a: Product,
  from: i32,
  to: i32,
): void {
  const rows = load<i32>(a.rows), left = rows & 3;
  const tiles = (rows >> 2) + (left == 3 ? 1 : 0);
  for (let p = from; p < to; p++) {
    for (let t = 0; t < tiles; t++) {
      fourRows(bits, mode, half, min, off, a, t, p, 0);
      fourRows(bits, mode, half, min, off, a, t, p, 1);
    }
  }
  if (left == 3) return;
  for (let r = tiles << 2; r < rows; r++) {
    oneRow(bits, mode, half, min, off, a, r, from, to);
  }
}

export function q4(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, true, false, 3, a, from, to);
  else product(4, QUADS_U8, true, false, 3, a, from, to);
}
export function q4m(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, true, true, 0, a, from, to);
  else product(4, QUADS_U8, true, true, 0, a, from, to);
}
export function q4mf(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, false, true, 0, a, from, to);
  else product(4, QUADS_U8, false, true, 0, a, from, to);
}
export function q5(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(5, PAIRS, true, false, 4, a, from, to);
  else product(5, QUADS_U8, true, false, 4, a, from, to);
}
export function q5m(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(5, PAIRS, true, true, 0, a, from, to);
  else product(5, QUADS_U8, true, true, 0, a, from, to);
}
export function q5mf(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(5, PAIRS, false, true, 0, a, from, to);
  else product(5, QUADS_U8, false, true, 0, a, from, to);
}
export function q8(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == QUADS_U8) product(8, QUADS_U8, true, false, 7, a, from, to);
  else if (mode == QUADS_S8) product(8, QUADS_S8, true, false, 0, a, from, to);
  else product(8, PAIRS, true, false, 0, a, from, to);
}
