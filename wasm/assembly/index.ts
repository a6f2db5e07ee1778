// The kernels' exports: the step program, repacking, and a probe of the machine.
import { Repack } from "./repack";
import * as repack from "./repack";
import * as books from "./repack_books";
import { expandGrid, expandNv, repackGrid } from "./repack_grids";
import { expandFloats, round4, round8 } from "./round";

export { decodeRow } from "./embed";
export { run } from "./program";

/** Repacks rows of GGUF type `type` (its number in the file format). 1 if it can. */
export function pack(a: Repack, type: i32): i32 {
  switch (type) {
    case 0: repack.repackFloats(a, 4); return 1;
    case 1:
    case 30: repack.repackFloats(a, 2); return 1;
    case 2: repack.repackLegacy(a, false, false); return 1;
    case 3: repack.repackLegacy(a, false, true); return 1;
    case 6: repack.repackLegacy(a, true, false); return 1;
    case 7: repack.repackLegacy(a, true, true); return 1;
    case 8: repack.repackBytes(a); return 1;
    case 10: repack.repackTwo(a); return 1;
    case 11: repack.repackThree(a); return 1;
    case 12: repack.repackSuper(a, false); return 1;
    case 13: repack.repackSuper(a, true); return 1;
    case 14: repack.repackSix(a); return 1;
    case 20: repack.repackLegacy(a, false, false); return 1;
    case 16:
    case 18:
    case 19:
    case 21: repackGrid(a, type); return 1;
    case 23: books.repackScaled(a); return 1;
    case 34: books.repackDigits(a); return 1;
    case 35: books.repackPairs(a); return 1;
    case 39: books.repackPowers(a); return 1;
  }
  return 0;
}

/** Rows of GGUF type `type` to f32 rows, `n` values each, at `w`. 1 if it can. */
export function expand(a: Repack, type: i32): i32 {
  switch (type) {
    case 0:
    case 1:
    case 30: expandFloats(a, type); return 1;
    case 17:
    case 22:
    case 29: expandGrid(a, type); return 1;
    case 40: expandNv(a); return 1;
  }
  return 0;
}

/** f32 rows at `src` to rows of GGUF type `type` at `w`. 1 if it can and they fit. */
export function round(a: Repack, type: i32): i32 {
  switch (type) {
    case 2: return round4(a) ? 1 : 0;
    case 8: return round8(a) ? 1 : 0;
  }
  return 0;
}

/**
 * How this machine sums eight-bit products, by the arithmetic alone: four products
 * of 127 with 0xff are 129540 where b is unsigned and sums are 32 bits wide, 65534
 * where pairs saturate at 16 bits, -508 where b is signed.
 */
export function probe(): i32 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    const r = i32x4.extract_lane(
      i32x4.relaxed_dot_i8x16_i7x16_add_s(
        i8x16.splat(127),
        i8x16.splat(-1),
        i32x4.splat(0),
      ),
      0,
    );
    if (r == 129540) return 2;
    if (r == -508) return 3;
  }
  return 0;
}
