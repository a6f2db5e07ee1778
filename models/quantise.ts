/**
 * Weights rounded to Q8_0 or Q4_0, as a file would hold them: bit for bit what
 * ggml's plain quantisers make of them, whose arithmetic is that of f32.
 *
 * @module
 */
import { toF16Bits } from "../core/f16.ts";
import type { RoundedType } from "../core/model.ts";
import { TENSOR_TYPES } from "./tensor_types.ts";

/** Values in a block. */
const BLOCK = 32;

/** The largest f16. */
const MOST_SCALE = 65504;

/** Scales below have no inverse; as f16 they are 0. */
const LEAST_SCALE = 2 ** -126;

const { fround } = Math;

/**
 * Whole blocks of 32 values, rounded.
 *
 * @returns Blocks as `dequantise()` reads them.
 * @throws {RangeError} for parts of a block, values that are no numbers or infinite,
 * and blocks whose scale is beyond f16.
 */
export function quantise(type: RoundedType, values: Float32Array): Uint8Array {
  if (values.length % BLOCK !== 0) {
    throw new RangeError(
      `Cannot round ${values.length} values to ${type}: a multiple of ${BLOCK} is wanted`,
    );
  }
  const { bytes } = TENSOR_TYPES[type], round = ROUND[type];
  const out = new Uint8Array(values.length / BLOCK * bytes);
  const view = new DataView(out.buffer);
  for (let b = 0; b * BLOCK < values.length; b++) {
    const block = values.subarray(b * BLOCK, (b + 1) * BLOCK);
    const d = round(block, new Uint8Array(out.buffer, b * bytes + 2));
    // Written so that NaN fails. What rounds to 65504 is less than 65520.
    if (!(Math.abs(d) < MOST_SCALE + 16)) {
      throw new RangeError(
        `Cannot round weights to ${type}: values ${b * BLOCK} to ${
          b * BLOCK + BLOCK - 1
        } need a scale of ${d}, at most ${MOST_SCALE} is possible`,
      );
    }
    view.setUint16(b * bytes, toF16Bits(d), true);
  }
  return out;
}

/** Writes the codes of a block and returns its scale. */
const ROUND: {
  readonly [T in RoundedType]: (x: Float32Array, codes: Uint8Array) => number;
} = {
  // 127 is the value farthest from 0; halves round away from it.
  Q8_0(x, codes) {
    const d = fround(Math.abs(farthest(x)) / 127);
    const inverse = inverseOf(d);
    for (let i = 0; i < BLOCK; i++) {
      const v = fround(x[i]! * inverse), size = Math.abs(v);
      const code = Math.floor(size) + (size % 1 >= 0.5 ? 1 : 0);
      codes[i] = Math.min(code, 127) * Math.sign(v);
    }
    return d;
  },

  // -8 is the value farthest from 0, whatever its sign.
  Q4_0(x, codes) {
    const d = fround(farthest(x) / -8);
    const inverse = inverseOf(d);
    const code = (v: number): number =>
      Math.min(15, Math.trunc(fround(fround(v * inverse) + 8.5)));
    for (let i = 0; i < BLOCK / 2; i++) {
      codes[i] = code(x[i]!) | code(x[BLOCK / 2 + i]!) << 4;
    }
    return d;
  },
};

function inverseOf(scale: number): number {
  return Math.abs(scale) < LEAST_SCALE ? 0 : fround(1 / scale);
}

/** The first of the values farthest from 0; NaN where one is. */
function farthest(x: Float32Array): number {
  let most = 0;
  for (const v of x) {
    if (Number.isNaN(v)) return v;
    if (Math.abs(v) > Math.abs(most)) most = v;
  }
  return most;
}
