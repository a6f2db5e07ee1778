/**
 * INT4 for K: asymmetric, a step and a minimum for each channel of a block (KIVI,
 * Liu et al., ICML 2024, with the block as its group and the open block as the rest
 * that is not coded yet). Channels of K differ far more than its positions do.
 *
 * ```text
 *  steps bf16 [D] | minima bf16 [D]
 *  [T/8]{ codes [D/4]{ 8 positions × 2 dims, 8 positions × 2 dims } }
 * ```
 * min = bf16(least); step = bf16((largest - min) / 15), 0 where that is less;
 * code = (x - min) × (1 / step), rounded, 0 to 15; value = step × code + min.
 *
 * @module
 */
import { type KvPart, wholeTiles } from "./part.ts";
import { keyNibble, nibbleAt, putNibble } from "./places.ts";
import {
  fromBf16,
  readBf16,
  reciprocal,
  toBf16,
  toCode,
  toScale,
  write16,
} from "./scales.ts";

const MOST = 15;

/** K in 4 bits by channel. */
export const int4cK: KvPart = {
  id: "int4c",
  blockTokens: 64,
  supports: (tokens, headDim) => wholeTiles(tokens, headDim),
  bytes: (tokens, headDim) => headDim * 4 + tokens * headDim / 2,
  seal(x, tokens, headDim, out) {
    out.fill(0);
    for (let d = 0; d < headDim; d++) {
      let least = Infinity, largest = -Infinity;
      for (let p = 0; p < tokens; p++) {
        least = Math.min(least, x[p * headDim + d]!);
        largest = Math.max(largest, x[p * headDim + d]!);
      }
      const minBits = toBf16(least), min = fromBf16(minBits);
      const range = Math.max(0, Math.fround(largest - min));
      const stepBits = toScale(Math.fround(range / MOST));
      const k = reciprocal(fromBf16(stepBits));
      write16(out, d * 2, stepBits);
      write16(out, (headDim + d) * 2, minBits);
      for (let p = 0; p < tokens; p++) {
        const above = Math.fround(x[p * headDim + d]! - min);
        const code = toCode(Math.fround(above * k), 0, MOST);
        putNibble(out, tileAt(p, headDim), keyNibble(p, d), code);
      }
    }
  },
  open(sealed, tokens, headDim, x) {
    for (let d = 0; d < headDim; d++) {
      const step = readBf16(sealed, d * 2);
      const min = readBf16(sealed, (headDim + d) * 2);
      for (let p = 0; p < tokens; p++) {
        const code = nibbleAt(sealed, tileAt(p, headDim), keyNibble(p, d));
        x[p * headDim + d] = Math.fround(step * code) + min;
      }
    }
  },
};

/** Where the tile of a position begins. */
function tileAt(p: number, headDim: number): number {
  return headDim * 4 + (p >> 3) * headDim * 4;
}
