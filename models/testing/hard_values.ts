/**
 * Values that are hard to round to a few bits.
 *
 * @module
 */
import { dequantise } from "../dequantise.ts";
import { pseudoBlocks } from "./pseudo_blocks.ts";

/** Half a tie, a quarter of a code, nothing, next to nothing, and the most. */
const HARD: readonly ((i: number) => number)[] = [
  (i) => i === 0 ? 127 : (i - 1) / 2,
  (i) => i === 0 ? -127 : -(i - 1) / 2,
  (i) => i === 0 ? 8 : (i - 1) / 2 - 8,
  (i) => i === 0 ? -8 : (i - 1) / 2 - 7.5,
  () => 0,
  (i) => 2 ** -(100 + i),
  (i) => -(2 ** -(10 + i)),
  (i) => 65504 * 8 - i,
  (i) => i < 16 ? 1 : -1,
  (i) => i < 16 ? -1 : 1,
];

/** 64 blocks of 32 values of all sizes, then the hard ones. */
export function hardValues(): Float32Array {
  const some = new Float32Array(64 * 32);
  dequantise("F16", pseudoBlocks("F16", some.length), some);
  const hard = HARD.flatMap((f) => Array.from({ length: 32 }, (_, i) => f(i)));
  return Float32Array.from([...some, ...hard]);
}
