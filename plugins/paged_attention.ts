/**
 * PagedAttention: K and V in small blocks that are found through a table.
 *
 * Method: Kwon et al., "Efficient Memory Management for Large Language Model
 * Serving with PagedAttention", SOSP 2023. The core's block tables give
 * sharing, forks and copy on write to any layout; this one makes blocks small,
 * so that little is reserved and nothing is lost between sequences.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";

/** Settings of `pagedAttention()`. */
export interface PagedAttentionOptions {
  /**
   * Positions in a block. Small blocks waste less at the tail of a sequence and
   * share more, large ones make shorter tables. Default 16, or the nearest
   * larger size that the kernels take. A size that is given is taken as it is,
   * or the plan is refused.
   */
  readonly blockTokens?: number;
}

/**
 * As fast as one contiguous block where a backend lays neighbouring blocks together
 * (`deno task strategies paging`), and a sequence leaves 8 positions empty on average:
 * ends of blocks are under 4 % on traces of short requests, with 32 above (`… waste`).
 */
const DEFAULT = 16;

/** What to try where no kernel takes the default. */
const ALTERNATIVES = [32, 64, 128, 256, 8];

/**
 * Blocks of a fixed number of positions.
 *
 * ```ts ignore
 * await load("smollm2", { plugins: [pagedAttention({ blockTokens: 32 })] });
 * ```
 */
export function pagedAttention(options: PagedAttentionOptions = {}): Plugin {
  const { blockTokens } = options;
  return {
    name: "paged-attention",
    setup: (host) =>
      host.provide("layout", {
        id: "paged",
        blockTokens: blockTokens ?? DEFAULT,
        ...(blockTokens === undefined ? { alternatives: ALTERNATIVES } : {}),
      }),
  };
}
