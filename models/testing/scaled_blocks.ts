/**
 * Quantised blocks of arbitrary codes whose values are of a wanted size.
 *
 * @module
 */
import { toF16Bits } from "../../core/f16.ts";
import type { WeightType } from "../../core/model.ts";
import { dequantise } from "../dequantise.ts";
import { TENSOR_TYPES } from "../tensor_types.ts";
import { pseudoBlocks } from "./pseudo_blocks.ts";

/** Formats with one scale a block, by how it is written. */
const WRITE_SCALE = {
  IQ4_NL: half(0),
  IQ4_XS: half(0),
  MXFP4: (view, at, scale) =>
    view.setUint8(at, 128 + Math.round(Math.log2(scale))),
  // Four powers of two, each 8 codes from the next.
  NVFP4: (view, at, scale) => {
    const code = 8 * (8 + Math.round(Math.log2(scale)));
    for (let i = 0; i < 4; i++) view.setUint8(at + i, code);
  },
  TQ1_0: half(52),
  TQ2_0: half(64),
  IQ3_S: half(0),
  IQ3_XXS: half(0),
  IQ2_S: half(0),
  IQ2_XS: half(0),
  IQ2_XXS: half(0),
  IQ1_M: (view, at, scale) => {
    const bits = toF16Bits(scale);
    for (let i = 0; i < 4; i++) {
      const word = view.getUint16(at + 48 + 2 * i, true) & 0xfff;
      view.setUint16(at + 48 + 2 * i, word | (bits >> 4 * i) << 12, true);
    }
  },
  IQ1_S: half(0),
} as const satisfies Partial<
  Record<WeightType, (view: DataView, at: number, scale: number) => void>
>;

/** A format that `scaledBlocks()` writes. */
export type ScaledType = keyof typeof WRITE_SCALE;

/** Every one of them. */
export const SCALED_TYPES = Object.keys(WRITE_SCALE) as readonly ScaledType[];

/**
 * `count` blocks whose values have about the root mean square `size`, other ones for
 * another `skip`.
 */
export function scaledBlocks(
  type: ScaledType,
  count: number,
  size: number,
  skip = 0,
): Uint8Array<ArrayBuffer> {
  const { bytes: each, values } = TENSOR_TYPES[type];
  const bytes = pseudoBlocks(type, count + skip).slice(skip * each);
  const view = new DataView(bytes.buffer);
  const all = (scale: number): void => {
    for (let b = 0; b < count; b++) WRITE_SCALE[type](view, b * each, scale);
  };
  all(1);
  const decoded = new Float32Array(count * values);
  dequantise(type, bytes, decoded);
  const squares = decoded.reduce((sum, v) => sum + v * v, 0);
  all(size / Math.sqrt(squares / decoded.length));
  return bytes;
}

function half(
  offset: number,
): (view: DataView, at: number, scale: number) => void {
  return (view, at, scale) =>
    view.setUint16(at + offset, toF16Bits(scale), true);
}
