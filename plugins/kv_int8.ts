/**
 * K and V in 8 bits: one scale for each position and head, K rotated before.
 *
 * 8.25 bits a value at head size 64, 8.06 at 256. Rotation (Ashkboos et al., "QuaRot",
 * NeurIPS 2024) spreads over a whole row what stands out in one dimension of K.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import { int8hK, int8K, int8V } from "./kv/int8.ts";
import { type KvOptions, kvPlugin } from "./kv/plugin.ts";

/** Settings of `kvInt8()`. */
export interface KvInt8Options extends KvOptions {
  /** Rotates K before it is coded. Default on. */
  readonly rotate?: boolean;
}

/**
 * Keeps K and V in 8 bits.
 *
 * ```ts ignore
 * await load("smollm2", { plugins: [kvInt8()] });
 * ```
 *
 * @throws {RangeError} for settings that mean nothing.
 */
export function kvInt8(options: KvInt8Options = {}): Plugin {
  return kvPlugin(options.rotate === false ? int8K : int8hK, int8V, options);
}
