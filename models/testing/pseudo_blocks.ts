/**
 * Quantised blocks full of arbitrary but finite values, the same every time.
 *
 * @module
 */
import type { WeightType } from "../../core/model.ts";
import { TENSOR_TYPES } from "../tensor_types.ts";

/** Byte offsets of the f16 (or bf16) numbers in a block; all else may be anything. */
const SCALES: { readonly [T in WeightType]: readonly number[] } = {
  F32: [],
  F16: [0],
  BF16: [0],
  Q8_0: [0],
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ4_NL: [0],
  IQ4_XS: [0],
  MXFP4: [],
  NVFP4: [],
  TQ1_0: [52],
  TQ2_0: [64],
  IQ3_S: [0],
  IQ3_XXS: [0],
  IQ2_S: [0],
  IQ2_XS: [0],
  IQ2_XXS: [0],
  // The upper nibble of its scale is that of the last byte.
  IQ1_M: [54],
  IQ1_S: [0],
};

/** `count` blocks from a fixed xorshift sequence, scales below 2 in size. */
export function pseudoBlocks(
  type: WeightType,
  count: number,
): Uint8Array<ArrayBuffer> {
  const { bytes: size } = TENSOR_TYPES[type];
  const bytes = new Uint8Array(count * size);
  let state = 0x9e3779b9;
  for (let i = 0; i < bytes.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    bytes[i] = state >>> 8;
  }
  for (let block = 0; block < count; block++) {
    for (const at of SCALES[type]) {
      // The exponent's top bit, clear: no infinity, no NaN.
      bytes[block * size + at + 1]! &= 0xbf;
    }
  }
  return bytes;
}
