// What all matrix multiplications share: their record, and how results are stored.

/** Where one matrix multiplication reads and writes; a record of the step program. */
@unmanaged
export class Product {
  kind: i32;
  flags: i32;
  w: usize;
  xq: usize;
  xs: usize;
  xf: usize;
  xi: usize;
  x16: usize;
  out: usize;
  /** Bytes from one row of the result to the next. */
  stride: usize;
  /** Blocks of 32 inputs (floats: inputs). */
  nb: usize;
  panels: i32;
  /** Address of the number of rows. */
  rows: usize;
  /** What adapters add to it; 0: nothing. */
  delta: usize;
}

/** The result is added to what is there. */
// @ts-ignore: decorator
@inline export const ADD = 2;

// @ts-ignore: decorator
@inline
export function put(add: bool, p: usize, v: v128): void {
  v128.store(p, add ? f32x4.add(v128.load(p), v) : v);
}
