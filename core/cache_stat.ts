/**
 * The figures of the KV cache.
 *
 * @module
 */

import type { MissReason } from "./slots.ts";

/** What the cache holds and what it did. Counts are since creation. */
export interface CacheStat {
  /** Blocks by state; an idle block is sealed, indexed and used by nobody. */
  readonly blocks: {
    readonly open: number;
    readonly sealed: number;
    readonly idle: number;
  };
  /** By tier, the device first. */
  readonly tiers: readonly {
    readonly id: string;
    /** Bytes. */
    readonly used: number;
    readonly capacity: number;
  }[];
  /** Open sequences. */
  readonly sequences: number;
  /** Positions all sequences have, shared ones counted for each. */
  readonly tokens: number;
  /** Bytes a reservation could get now: free ones and those of idle blocks. */
  readonly available: number;
  /** Bytes held that no position is in: free slots of slabs, and ends of open blocks. */
  readonly unused: number;
  /**
   * Uses of blocks by sequences. Without sharing there would be so many blocks;
   * there are `open + sealed - idle`.
   */
  readonly references: number;
  /** Prompts of which something was found. */
  readonly hits: number;
  /** Prompts of which not all that could be shared was found, by reason. */
  readonly misses: Readonly<Record<MissReason, number>>;
  /** Positions that were found instead of computed. */
  readonly hitTokens: number;
  /** How many of those came from tiers. */
  readonly fetchedTokens: number;
  /** Prompts that tiers had more of, which was computed since that took less time. */
  readonly declined: number;
  /** Sequences that began as a copy of another. */
  readonly forks: number;
  /** Shared blocks copied before a write. */
  readonly copies: number;
  /** Idle blocks given up. */
  readonly evictions: number;
  /** Blocks moved between tiers. */
  readonly moves: number;
  /** Blocks rebuilt. */
  readonly restores: number;
}
