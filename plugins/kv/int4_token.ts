/**
 * INT4 for V: asymmetric, a step and a minimum for each group of up to 64 dims of a
 * position. Positions of V differ far more than its channels do.
 *
 * ```text
 *  codes  [D/8][T/4]{ 8 dims × 2 positions, 8 dims × 2 positions }
 *  steps  bf16 [D/group][T] | minima bf16 [D/group][T]
 * ```
 * A head is cut into equal groups of whole 8 dims, or not at all. Each [T] is padded
 * to whole 16 bytes.
 *
 * min = bf16(least); step = bf16((largest - min) / 15), 0 where that is less;
 * code = (x - min) × (1 / step), rounded, 0 to 15; value = step × code + min.
 *
 * @module
 */
import { rotated } from "./hadamard.ts";
import { type KvPart, whole16, wholeTiles } from "./part.ts";
import { nibbleAt, putNibble, valueNibble } from "./places.ts";
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

/** Most dims that share a step. */
const GROUP = 64;

/** Dims of a group. */
function groupOf(headDim: number): number {
  const group = headDim / Math.ceil(headDim / GROUP);
  return group % 8 === 0 ? group : headDim;
}

/** Byte of a position's step in a group, and of its minimum. */
function scalesAt(
  p: number,
  group: number,
  tokens: number,
  headDim: number,
): readonly [number, number] {
  const run = whole16(tokens * 2), groups = headDim / groupOf(headDim);
  const step = tokens * headDim / 2 + group * run + p * 2;
  return [step, step + groups * run];
}

/** V in 4 bits by position. */
export const int4V: KvPart = {
  id: "int4",
  supports: (tokens, headDim) => wholeTiles(tokens, headDim),
  bytes: (tokens, headDim) =>
    tokens * headDim / 2 +
    2 * headDim / groupOf(headDim) * whole16(tokens * 2),
  seal(x, tokens, headDim, out) {
    out.fill(0);
    const group = groupOf(headDim);
    for (let p = 0; p < tokens; p++) {
      for (let from = 0; from < headDim; from += group) {
        const row = p * headDim, end = from + group;
        let least = Infinity, largest = -Infinity;
        for (let d = from; d < end; d++) {
          least = Math.min(least, x[row + d]!);
          largest = Math.max(largest, x[row + d]!);
        }
        const minBits = toBf16(least), min = fromBf16(minBits);
        const range = Math.max(0, Math.fround(largest - min));
        const stepBits = toScale(Math.fround(range / MOST));
        const k = reciprocal(fromBf16(stepBits));
        const [step, minimum] = scalesAt(p, from / group, tokens, headDim);
        write16(out, step, stepBits);
        write16(out, minimum, minBits);
        for (let d = from; d < end; d++) {
          const above = Math.fround(x[row + d]! - min);
          const code = toCode(Math.fround(above * k), 0, MOST);
          putNibble(out, 0, valueNibble(p, d, tokens), code);
        }
      }
    }
  },
  open(sealed, tokens, headDim, x) {
    const group = groupOf(headDim);
    for (let p = 0; p < tokens; p++) {
      for (let from = 0; from < headDim; from += group) {
        const [at, minimum] = scalesAt(p, from / group, tokens, headDim);
        const step = readBf16(sealed, at), min = readBf16(sealed, minimum);
        for (let d = from; d < from + group; d++) {
          const code = nibbleAt(sealed, 0, valueNibble(p, d, tokens));
          x[p * headDim + d] = Math.fround(step * code) + min;
        }
      }
    }
  },
};

/** V in 4 bits by position, rotated. */
export const int4hV: KvPart = rotated(int4V);
