/**
 * The weight formats: their numbers in a GGUF file and the size of a block.
 *
 * A row of a matrix is stored as whole blocks, so its length must be a multiple
 * of `values`.
 *
 * @module
 */
import type { WeightType } from "../core/model.ts";

/** How one weight format is laid out in a file. */
export interface TensorTypeInfo {
  /** The number that stands for the format in a GGUF tensor info. */
  readonly id: number;
  /** Values in a block. */
  readonly values: number;
  /** Bytes in a block. */
  readonly bytes: number;
}

/** Every weight format this project reads, by name. */
export const TENSOR_TYPES: { readonly [T in WeightType]: TensorTypeInfo } = {
  F32: { id: 0, values: 1, bytes: 4 },
  F16: { id: 1, values: 1, bytes: 2 },
  BF16: { id: 30, values: 1, bytes: 2 },
  Q8_0: { id: 8, values: 32, bytes: 34 },
  Q4_0: { id: 2, values: 32, bytes: 18 },
  Q4_1: { id: 3, values: 32, bytes: 20 },
  Q5_0: { id: 6, values: 32, bytes: 22 },
  Q5_1: { id: 7, values: 32, bytes: 24 },
  Q2_K: { id: 10, values: 256, bytes: 84 },
  Q3_K: { id: 11, values: 256, bytes: 110 },
  Q4_K: { id: 12, values: 256, bytes: 144 },
  Q5_K: { id: 13, values: 256, bytes: 176 },
  Q6_K: { id: 14, values: 256, bytes: 210 },
  IQ4_NL: { id: 20, values: 32, bytes: 18 },
  IQ4_XS: { id: 23, values: 256, bytes: 136 },
  MXFP4: { id: 39, values: 32, bytes: 17 },
  NVFP4: { id: 40, values: 64, bytes: 36 },
  TQ1_0: { id: 34, values: 256, bytes: 54 },
  TQ2_0: { id: 35, values: 256, bytes: 66 },
  IQ3_S: { id: 21, values: 256, bytes: 110 },
  IQ3_XXS: { id: 18, values: 256, bytes: 98 },
  IQ2_S: { id: 22, values: 256, bytes: 82 },
  IQ2_XS: { id: 17, values: 256, bytes: 74 },
  IQ2_XXS: { id: 16, values: 256, bytes: 66 },
  IQ1_M: { id: 29, values: 256, bytes: 56 },
  IQ1_S: { id: 19, values: 256, bytes: 50 },
};

/** Formats that exist but are not read here, so that an error can name them. */
const OTHER_TYPES: Readonly<Record<number, string>> = {
  4: "Q4_2",
  5: "Q4_3",
  9: "Q8_1",
  15: "Q8_K",
  24: "I8",
  25: "I16",
  26: "I32",
  27: "I64",
  28: "F64",
  41: "Q1_0",
  42: "Q2_0",
};

const NAMES = new Map<number, WeightType>(
  Object.entries(TENSOR_TYPES).map((
    [name, { id }],
  ) => [id, name as WeightType]),
);

/** The format a GGUF number stands for, or undefined where it is not read here. */
export function weightTypeOf(id: number): WeightType | undefined {
  return NAMES.get(id);
}

/** What a GGUF type number is called, for messages: `IQ2_XS (17)`, `9999`. */
export function typeLabel(id: number): string {
  const name = NAMES.get(id) ?? OTHER_TYPES[id];
  return name === undefined ? `${id}` : `${name} (${id})`;
}

/** Bytes that `values` values take; `values` must be whole blocks. */
export function bytesOf(type: WeightType, values: number): number {
  const info = TENSOR_TYPES[type];
  return values / info.values * info.bytes;
}
