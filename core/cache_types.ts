/**
 * What goes into and comes out of the KV cache.
 *
 * @module
 */
import type { SeqId } from "./types.ts";

/** Tokens to append to one sequence: `tokens[from .. to)`. */
export interface Work {
  /** An open sequence that no other reservation holds. */
  readonly seq: SeqId;
  /** Any list of token ids; it is copied. */
  readonly tokens: ArrayLike<number>;
  /** Default 0. */
  readonly from?: number;
  /** Default `tokens.length`. */
  readonly to?: number;
}

/** Blocks promised to one step. Nothing is visible to readers before `commit()`. */
export interface Reservation {
  /** Tells it from a Shortfall. */
  readonly ok: true;
  /** Rows in all. */
  readonly rows: number;
  /** Sequences in all, in the order of the work. */
  readonly seqs: number;
  /** Its rows are not computed but restored from hidden states. */
  readonly restores: boolean;
}

/** Rows [from, to) of a step, in the order of its work. */
export interface StepPart {
  /** The first. */
  readonly from: number;
  /** One past the last. */
  readonly to: number;
}

/** Running out, as a value. */
export interface Shortfall {
  /** Tells it from a Reservation. */
  readonly ok: false;
  /** How many more blocks are needed. */
  readonly blocks: number;
  /** What they take. */
  readonly bytes: number;
}
