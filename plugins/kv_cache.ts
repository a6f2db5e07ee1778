/**
 * K and V in fewer bits, each in a format of its own.
 *
 * A block is coded when it is full; a query reads the block it stands in as it was
 * computed, and earlier ones coded.
 *
 * ```text
 *  format   bits a value at head size 64, blocks of 64   K is coded       V is coded
 *  f16      16                                           by value         by value
 *  int8     8.25                                         by row, rotated  by row
 *  int4     4.5                                          by channel       by row, rotated
 *  nvfp4    4.53 ("fp4" is the same)                     by 16 dims, rotated, both
 *  mxfp4    4.25                                         by 32 dims, rotated, both
 * ```
 * K needs more bits than V: its errors are felt by all query heads that share it.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import { f16K, f16V } from "./kv/f16.ts";
import {
  mxfp4hK,
  mxfp4hV,
  mxfp4K,
  mxfp4V,
  nvfp4hK,
  nvfp4hV,
  nvfp4K,
  nvfp4V,
} from "./kv/fp4.ts";
import { int4cK } from "./kv/int4_channel.ts";
import { int4hV, int4V } from "./kv/int4_token.ts";
import { int8hK, int8K, int8V } from "./kv/int8.ts";
import type { KvPart } from "./kv/part.ts";
import { type KvOptions, kvPlugin } from "./kv/plugin.ts";

export type { KvOptions } from "./kv/plugin.ts";

/** How K or V is kept; see `plugins/kv_cache.ts`. */
export type KvFormat = "int8" | "int4" | "fp4" | "nvfp4" | "mxfp4" | "f16";

/** Settings of `kvCache()`. */
export interface KvCacheOptions extends KvOptions {
  /** How K is kept. */
  readonly k: KvFormat;
  /** How V is kept. */
  readonly v: KvFormat;
  /**
   * Rotates what is coded by row (all but K in 4 bits, V in 8, and f16), so that no
   * dimension stands out. Default on.
   */
  readonly rotate?: boolean;
}

/** A format, and the one without rotation where it has one. */
type Choice = readonly [KvPart, KvPart?];

const KEYS: Readonly<Record<KvFormat, Choice>> = {
  int8: [int8hK, int8K],
  int4: [int4cK],
  fp4: [nvfp4hK, nvfp4K],
  nvfp4: [nvfp4hK, nvfp4K],
  mxfp4: [mxfp4hK, mxfp4K],
  f16: [f16K],
};

const VALUES: Readonly<Record<KvFormat, Choice>> = {
  int8: [int8V],
  int4: [int4hV, int4V],
  fp4: [nvfp4hV, nvfp4V],
  nvfp4: [nvfp4hV, nvfp4V],
  mxfp4: [mxfp4hV, mxfp4V],
  f16: [f16V],
};

/**
 * Keeps K and V in these formats.
 *
 * ```ts ignore
 * await load("smollm2", {
 *   plugins: [
 *     kvCache({ k: "int8", v: "int8", layers: [0, 1] }),
 *     kvCache({ k: "int8", v: "int4", layers: (l) => l.layer > 1 }),
 *   ],
 * });
 * ```
 *
 * @throws {RangeError} for an unknown format, or settings that mean nothing.
 */
export function kvCache(options: KvCacheOptions): Plugin {
  const { k, v, rotate = true } = options;
  return kvPlugin(
    part(KEYS, "K", k, rotate),
    part(VALUES, "V", v, rotate),
    options,
  );
}

function part(
  parts: Readonly<Record<string, Choice>>,
  which: string,
  format: string,
  rotate: boolean,
): KvPart {
  if (Object.hasOwn(parts, format)) {
    const [usual, plain = usual] = parts[format]!;
    return rotate ? usual : plain;
  }
  throw new RangeError(
    `Cannot keep ${which} as "${format}": one of ${
      Object.keys(parts).map((f) => `"${f}"`).join(", ")
    } is wanted`,
  );
}
