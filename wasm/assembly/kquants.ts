// Matrix times quantised rows, for weights with a scale per 16 inputs: Q2_K,
// Q3_K (codes in four bits) and Q6_K.
//
// A block is 32 inputs of a panel of eight outputs (two halves of four); eight blocks
// and the scales of their 256 inputs follow one another:
//
// ```text
//  { codes [2 halves] 64 B, [pairs [2 halves] 32 B], sc [2] 8 B, [mins [2] 8 B] } × 8,
//  d f32 [8], [m f32 [8], already negative]
//
//  codes   as in quants.ts: low nibbles are group A (inputs 0..15), high nibbles
//          group B (16..31)
//  pairs   upper two bits of 6: 16 B for A and 16 B for B; in byte i of output r,
//          bits 2j and 2j+1 belong to vector j
//  sc      int8 A [4 outputs], B [4 outputs]
//
//  x16     i32 sums of the codes of A [4 rows], B [4 rows] a block and tile
// ```
// Codes times group scales are added up as integers, so a float enters once a block.
import { halfRow } from "./kquants_row";
import { halfTile } from "./kquants_tile";
import { PAIRS, QUADS_U8 } from "./lanes";
import { ADD, Product, put } from "./product";

// @ts-ignore: decorator
@inline
function product(
  bits: i32,
  mode: i32,
  min: bool,
  off: i32,
  a: Product,
  from: i32,
  to: i32,
): void {
  const rows = load<i32>(a.rows), add = (a.flags & ADD) != 0;
  const tiles = (rows + 1) >> 2;
  for (let p = from; p < to; p++) {
    for (let t = 0; t < tiles; t++) {
      halfTile(bits, mode, min, off, a, p, 0, t);
      halfTile(bits, mode, min, off, a, p, 1, t);
    }
    for (let r = tiles << 2; r < rows; r++) {
      const out = a.out + <usize> r * a.stride + (<usize> p << 5);
      put(add, out, halfRow(bits, mode, min, off, a, p, 0, r));
      put(add, out + 16, halfRow(bits, mode, min, off, a, p, 1, r));
    }
  }
}

export function q2k(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, true, 0, a, from, to);
  else product(4, QUADS_U8, true, 0, a, from, to);
}
export function q3k(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(4, PAIRS, false, 2, a, from, to);
  else product(4, QUADS_U8, false, 2, a, from, to);
}
export function q6k(mode: i32, a: Product, from: i32, to: i32): void {
  if (mode == PAIRS) product(6, PAIRS, false, 5, a, from, to);
  else product(6, QUADS_U8, false, 5, a, from, to);
}
