/**
 * What goes into and comes out of the scheduler.
 *
 * @module
 */
import type { AdapterSet } from "./adapters.ts";
import type { Reservation } from "./cache_types.ts";
import type { Miss } from "./slots.ts";
import type { SeqId } from "./types.ts";

/** A prompt to continue. */
export interface GenRequest {
  /** Unique among the requests a scheduler holds. */
  readonly id: string;
  /** One token or more. */
  readonly prompt: readonly number[];
  /** Tokens to sample; 0 only computes the prompt. */
  readonly maxTokens: number;
  /** Higher is sooner, for admissions that look at it. Default 0. */
  readonly priority?: number;
  /**
   * Whose request it is, default "": tenants share nothing by content, and
   * admissions may be fair among them.
   */
  readonly tenant?: string;
  /** What is added to the model for it. Default: nothing. */
  readonly adapters?: AdapterSet | undefined;
  /** What its blocks are worth to an index that looks at it. Default 0. */
  readonly cachePriority?: number;
  /** When it ends with what it has, in milliseconds of the scheduler's clock. */
  readonly deadline?: number;
  /**
   * Id of a request with the same prompt: where it can, this one begins as a
   * fork of it. Unknown ids are left alone.
   */
  readonly sharesWith?: string;
  /**
   * Rows of the prompt whose logits are wanted, default "last"; a number: those
   * from this position on. "all" and a number compute every row even where a
   * cached prefix would do.
   */
  readonly logits?: "last" | "all" | number;
}

/** The rows of one request in a step. Valid until the next `step()`. */
export interface StepEntry {
  /** Whose rows they are. */
  readonly request: GenRequest;
  /** The request's sequence in the cache. */
  readonly seq: SeqId;
  /** A decode is one row, the token sampled last, and guesses behind it. */
  readonly kind: "prefill" | "decode";
  /** First row in the batch. */
  readonly row: number;
  /** How many. */
  readonly rows: number;
  /** Position of the first row. */
  readonly start: number;
  /** First of its wanted rows, an index into `wantedRows`. */
  readonly wantedAt: number;
  /** How many, the last rows of the entry. */
  readonly wanted: number;
  /** How many of its last rows are guesses; see `guess()`. */
  readonly drafts: number;
  /** A token is to be sampled from the last wanted row that is no guess. */
  readonly samples: boolean;
  /** The i-th guess, 0 to `drafts - 1`: the token of that row. */
  guess(i: number): number;
}

/** One step to run. The object and its arrays are reused by the next `step()`. */
export interface StepPlan {
  /** For `load()` and `fill()` of the cache. */
  readonly reservation: Reservation;
  /** Rows in all. */
  readonly rows: number;
  /** Rows whose logits are wanted, in all. */
  readonly wanted: number;
  /** Its rows are restored from hidden states; no logits come of it. */
  readonly restores: boolean;
  /**
   * It has more rows than a batch, to be run part by part through a few layers at a
   * time. Parts begin at multiples of `maxRows`, and an entry's `wantedAt` counts within
   * the part of its last row.
   */
  readonly sweeps: boolean;
  /** Entries in use: `entries[0 .. count)`, in the order of their rows. */
  readonly count: number;
  /** Longer than `count` at times. */
  readonly entries: readonly StepEntry[];
  /** The caller writes the token of `entries[i]`, where it `samples`, to [i]. */
  readonly sampled: Int32Array;
  /** The caller writes 1 to [i] where the token ends the request. `step()` clears it. */
  readonly stops: Uint8Array;
  /**
   * How many guesses of `entries[i]` were right: their tokens come before
   * `sampled[i]`, which is then from the row behind them. `step()` clears it.
   */
  readonly accepted: Int32Array;
  /**
   * The caller writes 1 to [i] where the token of `entries[i]` is not known yet:
   * the request rests until `resume()`. `step()` clears it.
   */
  readonly holds: Uint8Array;
}

/**
 * How a request's memory is taken: "swap" moves its blocks to a tier, "drop" gives
 * them up, to be computed again; "auto" does what costs less.
 */
export type GiveWay = "swap" | "drop" | "auto";

/** Why a request ended. */
export type FinishReason =
  | "stop"
  | "length"
  | "deadline"
  | "aborted"
  | "error";

/** A request that ended. */
export interface Finished {
  /** The id of its request. */
  readonly id: string;
  /** What was sampled, a stopping token included. */
  readonly tokens: readonly number[];
  /** Why it ended. */
  readonly reason: FinishReason;
  /** Positions of the prompt that were there when it began, by content or as a fork. */
  readonly cached: number;
  /** Why not more; undefined where nothing more could be shared, or it never began. */
  readonly miss: Miss | undefined;
  /** With reason "error": what went wrong, in numbers. */
  readonly error?: Error;
}

/** The figures of the scheduler. */
export interface SchedulerStat {
  /** Not begun, or given way. */
  readonly waiting: number;
  /** With a sequence in the cache. */
  readonly running: number;
  /** Preemptions since creation. */
  readonly preempted: number;
  /** Of these, how many went to a tier instead of being computed again. */
  readonly swapped: number;
  /** Steps committed since creation. */
  readonly steps: number;
  /** Rows of these steps. */
  readonly rows: number;
  /** Positions that were computed before and are computed again after a preemption. */
  readonly recomputed: number;
  /** Positions restored from hidden states instead. */
  readonly restored: number;
  /** Tokens guessed. */
  readonly drafted: number;
  /** Of these, how many were right. */
  readonly accepted: number;
}
