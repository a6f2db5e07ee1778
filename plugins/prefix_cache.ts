/**
 * Prefix caching: blocks are found by what they hold, and stay when nobody uses
 * them until their memory is wanted.
 *
 * A block's key is a chained SHA-256 over model, plan, salt and all tokens up
 * to its end, so a hit is never a guess. Hits come from running requests as
 * well as from finished ones.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import { ChainEviction } from "./prefix_cache/eviction.ts";
import { ChainIndex } from "./prefix_cache/index.ts";

/** Settings of `prefixCache()`. */
export interface PrefixCacheOptions {
  /**
   * How many evicted blocks are remembered by name, so that a miss can say
   * "evicted". Default 16,384, about 2 MiB.
   */
  readonly remembered?: number;
  /**
   * Most bytes of blocks that are kept although nobody uses them; they never keep
   * a request from running. Default 1 GiB, so that a process that nobody gave a
   * budget does not grow to all there can be.
   */
  readonly mostBytes?: number;
}

/**
 * Keeps blocks by content and gives up the least recently used: those of the
 * lowest priority first, and of a chain its tail before its head.
 *
 * ```ts ignore
 * await load("smollm2", { plugins: [pagedAttention(), prefixCache()] });
 * ```
 *
 * @throws {RangeError} for a negative or fractional number.
 */
export function prefixCache(options: PrefixCacheOptions = {}): Plugin {
  const { remembered = 16384, mostBytes = 2 ** 30 } = options;
  for (const [name, value] of Object.entries({ remembered, mostBytes })) {
    if (Number.isInteger(value) && value >= 0) continue;
    throw new RangeError(
      `Cannot make a prefix cache with "${name}" ${value}: a whole number from 0 is wanted`,
    );
  }
  return {
    name: "prefix-cache",
    setup: (host) => {
      const index = new ChainIndex(remembered);
      host.provide("index", index);
      host.provide("evict", new ChainEviction(index, mostBytes));
    },
  };
}
