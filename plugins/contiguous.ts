/**
 * One run of memory for each sequence, taken when it begins: what serving
 * systems did before paging, kept as the baseline that paging is measured
 * against.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";

/** Settings of `contiguous()`. */
export interface ContiguousOptions {
  /** Positions that each sequence gets, whether it uses them or not. */
  readonly tokens: number;
}

/**
 * One block of `tokens` positions a sequence; longer sequences take another. A
 * fork copies what it writes to, which is everything.
 *
 * ```ts ignore
 * await load("smollm2", { context: 2048, plugins: [contiguous({ tokens: 2048 })] });
 * ```
 */
export function contiguous({ tokens }: ContiguousOptions): Plugin {
  return {
    name: "contiguous",
    setup: (host) =>
      host.provide("layout", { id: "contiguous", blockTokens: tokens }),
  };
}
