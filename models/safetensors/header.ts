/**
 * The header of one safetensors file.
 *
 * ```text
 *  byte 0        8                8 + n                    end
 *  | n, 64 bits | JSON, n bytes  | tensors, end to end    |
 *                 name → dtype, shape, data_offsets [from, to), counted from 8 + n
 * ```
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { escaped, quote } from "../gguf/quote.ts";
import { isObject, kindOf, parseObject } from "./json.ts";

/** A tensor as a file has it. */
export interface StoredTensor {
  readonly name: string;
  /** "F32", "BF16" and others; see `DTYPE_BITS`. */
  readonly dtype: string;
  /** Slowest dimension first: rows, then values in a row. */
  readonly shape: readonly number[];
  /** Byte offset from the start of the file. */
  readonly offset: number;
  readonly bytes: number;
}

/** Longest header, bytes: what the format itself allows. */
export const MOST_HEADER = 100_000_000;

/** Bits of a value of every type the format has. */
const DTYPE_BITS: ReadonlyMap<string, number> = new Map(Object.entries({
  BOOL: 8,
  U8: 8,
  I8: 8,
  I16: 16,
  U16: 16,
  I32: 32,
  U32: 32,
  I64: 64,
  U64: 64,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  F8_E8M0: 8,
  F8_E4M3: 8,
  F8_E5M2: 8,
  F16: 16,
  BF16: 16,
  F32: 32,
  F64: 64,
  C64: 64,
}));

/**
 * How long the header is, from the first eight bytes of a file of `size` bytes.
 *
 * @throws {ModelError} where it cannot be as long as it says.
 */
export function headerBytes(
  path: string,
  size: number,
  first: Uint8Array,
): number {
  if (size < 8) {
    throw new ModelError(
      path,
      `it has ${size} bytes, wanted a safetensors file: at least 8 and a header`,
    );
  }
  const view = new DataView(first.buffer, first.byteOffset, 8);
  const length = view.getBigUint64(0, true);
  if (length > BigInt(MOST_HEADER)) {
    throw new ModelError(
      path,
      `its header says it is ${length} bytes long, wanted at most ` +
        `${MOST_HEADER}: it is broken or no safetensors file`,
    );
  }
  if (8 + Number(length) > size) {
    throw new ModelError(
      path,
      `its header says it is ${length} bytes long, the file has ${size}: it ` +
        `is cut short or no safetensors file, get it again`,
    );
  }
  return Number(length);
}

/**
 * The tensors that a header names, in the order of the file.
 *
 * @param size Length of the whole file, bytes.
 * @param header The JSON, whole.
 * @throws {ModelError} for a type that is none, a shape and a length that differ,
 * and data that overlaps, leaves a hole or does not end with the file.
 */
export function parseHeader(
  path: string,
  size: number,
  header: Uint8Array,
): StoredTensor[] {
  const start = 8 + header.length;
  const tensors = Object.entries(parseObject(path, "its header", header))
    .filter(([name]) => name !== "__metadata__")
    .map(([name, value]) => tensorOf(path, start, name, value));
  tensors.sort((a, b) => a.offset - b.offset || a.bytes - b.bytes);
  let end = start, before = "the header";
  for (const { name, offset, bytes } of tensors) {
    if (offset !== end) {
      throw new ModelError(
        path,
        `tensor ${
          quote(name)
        } starts at byte ${offset}, wanted ${end}, where ` +
          `${before} ends: the file is broken, get it again`,
      );
    }
    end += bytes;
    before = `tensor ${quote(name)}`;
  }
  if (end !== size) {
    throw new ModelError(
      path,
      `its tensors end at byte ${end}, the file at ${size}: it is ` +
        `${end > size ? "cut short" : "broken"}, get it again`,
    );
  }
  return tensors;
}

function tensorOf(
  path: string,
  start: number,
  name: string,
  value: unknown,
): StoredTensor {
  const fail = (problem: string): never => {
    throw new ModelError(path, `tensor ${quote(name)} ${problem}`);
  };
  if (!isObject(value)) return fail(`is ${kindOf(value)}, wanted an object`);
  for (const key of Object.keys(value)) {
    if (key !== "dtype" && key !== "shape" && key !== "data_offsets") {
      fail(`has the key ${quote(key)}, wanted dtype, shape and data_offsets`);
    }
  }
  const { dtype, shape, data_offsets: range } = value;
  const bits = typeof dtype === "string" ? DTYPE_BITS.get(dtype) : undefined;
  if (typeof dtype !== "string" || bits === undefined) {
    return fail(
      `has the dtype ${kindOf(dtype)}, wanted one of ${
        [...DTYPE_BITS.keys()].join(", ")
      }`,
    );
  }
  if (!isCounts(shape) || shape.length > 8) {
    return fail(`has the shape ${kindOf(shape)}, wanted at most 8 lengths`);
  }
  if (!isCounts(range) || range.length !== 2 || range[0]! > range[1]!) {
    return fail(
      `has the data_offsets ${
        Array.isArray(range)
          ? escaped(JSON.stringify(range).slice(0, 80))
          : kindOf(range)
      }, wanted [from, to] in bytes`,
    );
  }
  const [from, to] = range as [number, number];
  const wanted = shape.reduce((a, b) => a * b, 1) * bits / 8;
  if (to - from !== wanted) {
    fail(
      `has ${to - from} bytes, wanted ${wanted} for ${dtype} of the shape ` +
        shape.join(" × "),
    );
  }
  return { name, dtype, shape, offset: start + from, bytes: to - from };
}

function isCounts(value: unknown): value is readonly number[] {
  return Array.isArray(value) &&
    value.every((n) => Number.isSafeInteger(n) && n >= 0);
}
