/**
 * Weights decoded to f32 one value at a time: the plain definition of each
 * format, against which every fast kernel is tested.
 *
 * Results are bit-equal to ggml's. Scales are f16 (11 significant bits) and
 * what multiplies them has at most 14, so each product and each difference
 * in decoders is exact in f64 and rounds once, when it is stored as f32. ggml's own
 * f32 intermediate values are exact too, so both round at the same place.
 *
 * @module
 */
import type { WeightType } from "../core/model.ts";
import type { Block, BlockDecoder } from "./dequantise/block.ts";
import { BOOK_TYPES } from "./dequantise/books.ts";
import { GRID_TYPES } from "./dequantise/grids.ts";
import { K_QUANTS } from "./dequantise/k_quants.ts";
import { PLAIN } from "./dequantise/plain.ts";
import { TENSOR_TYPES } from "./tensor_types.ts";

const DECODERS: { readonly [T in WeightType]: BlockDecoder } = {
  ...PLAIN,
  ...K_QUANTS,
  ...BOOK_TYPES,
  ...GRID_TYPES,
};

/**
 * Decodes whole blocks of `type` to f32.
 *
 * @param bytes Blocks as stored in a GGUF file; a view at any byte offset.
 * @param out Receives `bytes.length / block bytes * block values` values.
 * @throws {RangeError} if `bytes` is not whole blocks or `out` has another length.
 */
export function dequantise(
  type: WeightType,
  bytes: Uint8Array,
  out: Float32Array,
): void {
  const info = TENSOR_TYPES[type];
  const blocks = bytes.length / info.bytes;
  if (!Number.isInteger(blocks) || out.length !== blocks * info.values) {
    throw new RangeError(
      `Cannot decode ${type}: ${bytes.length} bytes at ${info.bytes} a block ` +
        `make ${blocks * info.values} values, "out" holds ${out.length}`,
    );
  }
  const decode = DECODERS[type];
  const src: Block = {
    u8: bytes,
    view: new DataView(bytes.buffer, bytes.byteOffset, bytes.length),
  };
  for (let b = 0; b < blocks; b++) {
    decode(src, b * info.bytes, out, b * info.values);
  }
}
