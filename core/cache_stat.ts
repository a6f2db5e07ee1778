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
  readonly tiers: readonly {
    readonly id: string;
    /** Bytes. */
    readonly used: number;
    readonly capacity: number;
  }[];
  readonly sequences: number;
  /** Positions all sequences have, shared ones counted for each. */
  readonly tokens: number;
  /** Bytes a reservation could get now: free ones and those of idle blocks. */
  readonly available: number;
  readonly hitTokens: number;
  /** Shared blocks copied before a write. */
  readonly copies: number;
  readonly evictions: number;
  readonly moves: number;
  readonly restores: number;
}
