/**
 * K and V in 16 bits, as the CPU backend keeps them by default. Where open blocks are
 * f32 (exact runs, the reference), full ones become half as large.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import { f16K, f16V } from "./kv/f16.ts";
import { type KvOptions, kvPlugin } from "./kv/plugin.ts";

/** Settings of `kvF16()`. */
export interface KvF16Options extends KvOptions {}

/**
 * Keeps K and V in 16 bits.
 *
 * ```ts ignore
 * await load("smollm2", { precision: "exact", plugins: [kvF16()] });
 * ```
 *
 * @throws {RangeError} for settings that mean nothing.
 */
export function kvF16(options: KvF16Options = {}): Plugin {
  return kvPlugin(f16K, f16V, options);
}
