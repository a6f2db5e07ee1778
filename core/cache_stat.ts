/**
 * The figures of the KV cache.
 *
 * @module
 */

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
  /** Positions that were found instead of computed. */
  readonly hitTokens: number;
  /** Shared blocks copied before a write. */
  readonly copies: number;
  /** Idle blocks given up. */
  readonly evictions: number;
  /** Blocks moved between tiers. */
  readonly moves: number;
  /** Blocks rebuilt. */
  readonly restores: number;
}
