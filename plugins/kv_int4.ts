/**
 * K and V in 4 bits: K by channel of a block, V by position, rotated.
 *
 * 4.5 bits a value at head size 64 with blocks of 64 tokens, which layouts that are
 * free to choose take. Method: Liu et al., "KIVI", ICML 2024; its group is the block,
 * and what it keeps aside uncoded is the open block.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import { int4cK } from "./kv/int4_channel.ts";
import { int4hV, int4V } from "./kv/int4_token.ts";
import { type KvOptions, kvPlugin } from "./kv/plugin.ts";

/** Settings of `kvInt4()`. */
export interface KvInt4Options extends KvOptions {
  /** Rotates V before it is coded, so that no dimension stands out. Default on. */
  readonly rotate?: boolean;
}

/**
 * Keeps K and V in 4 bits.
 *
 * ```ts ignore
 * await load("smollm2", { plugins: [kvInt4()] });
 * ```
 *
 * @throws {RangeError} for settings that mean nothing.
 */
export function kvInt4(options: KvInt4Options = {}): Plugin {
  return kvPlugin(int4cK, options.rotate === false ? int4V : int4hV, options);
}
