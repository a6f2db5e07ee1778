/**
 * f16, as open blocks of the CPU backend are: what is below 2^-14 becomes zero, what
 * is above 65504 stays there. Of use where open blocks are f32.
 *
 * ```text
 *  K   [T/8][D]{ 8 positions }      V   [T][D]
 * ```
 *
 * @module
 */
import { fromF16Bits, toF16Bits } from "../../core/f16.ts";
import { finite } from "./finite.ts";
import { type KvPart, wholeTiles } from "./part.ts";
import { write16 } from "./scales.ts";

const SMALLEST = 2 ** -14;

/** Index of a value. */
type Place = (p: number, d: number, headDim: number) => number;

function f16(place: Place): KvPart {
  return {
    id: "f16",
    supports: (tokens, headDim) => wholeTiles(tokens, headDim),
    bytes: (tokens, headDim) => tokens * headDim * 2,
    seal(x, tokens, headDim, out) {
      for (let p = 0; p < tokens; p++) {
        for (let d = 0; d < headDim; d++) {
          const value = x[p * headDim + d]!;
          const kept = Math.abs(value) < SMALLEST ? value * 0 : finite(value);
          write16(out, place(p, d, headDim) * 2, toF16Bits(kept));
        }
      }
    },
    open(sealed, tokens, headDim, x) {
      for (let p = 0; p < tokens; p++) {
        for (let d = 0; d < headDim; d++) {
          const at = place(p, d, headDim) * 2;
          const code = sealed[at]! | (sealed[at + 1]! << 8);
          x[p * headDim + d] = fromF16Bits(code);
        }
      }
    },
  };
}

/** K in 16 bits. */
export const f16K: KvPart = f16((p, d, headDim) =>
  (p >> 3) * headDim * 8 + d * 8 + (p & 7)
);

/** V in 16 bits. */
export const f16V: KvPart = f16((p, d, headDim) => p * headDim + d);
