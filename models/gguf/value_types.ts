/**
 * The kinds of value a GGUF metadata entry may hold.
 *
 * @module
 */

/** A metadata value's kind, by its number in the file. */
export const VALUE = {
  U8: 0,
  I8: 1,
  U16: 2,
  I16: 3,
  U32: 4,
  I32: 5,
  F32: 6,
  BOOL: 7,
  STRING: 8,
  ARRAY: 9,
  U64: 10,
  I64: 11,
  F64: 12,
} as const;

/** Bytes of a value of each kind; 0 for those whose length is in the file. */
export const VALUE_BYTES: readonly number[] = [
  1,
  1,
  2,
  2,
  4,
  4,
  4,
  1,
  0,
  0,
  8,
  8,
  8,
];
