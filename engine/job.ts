/**
 * What the step loop asks of a request it runs.
 *
 * @module
 */
import type { StepResult } from "../core/backend.ts";
import type { Finished, StepEntry } from "../core/scheduler_types.ts";

/** How a request ended, where it was known to the scheduler. */
export type Ended =
  & Pick<Finished, "reason">
  & Partial<Pick<Finished, "cached" | "miss">>;

/**
 * One request, from its owner's side. The loop calls these between steps; what
 * one throws ends this request only.
 */
export interface Job {
  readonly id: string;
  /** Whether it wants rows as they are behind the last norm. Default: no. */
  readonly states?: boolean;
  /** How many of the largest logits its rows need. */
  readonly top: number;
  /** The step has run: take what `entry`'s rows gave. */
  rows(entry: StepEntry, result: StepResult): void;
  /** Chooses the token after the i-th wanted row of the step. */
  sample(i: number, result: StepResult): number;
  /** Whether `token` ends the request. Called once for each sampled token. */
  take(token: number): boolean;
  /**
   * In place of `sample()` and `take()`: keeps what the row says for later. The
   * request rests until somebody resumes it.
   */
  hold?(i: number, result: StepResult): void;
  /** The step is over; requests that rest can be forked and resumed. */
  settle?(): void;
  /** No more steps. `error`: why, where it is known. */
  ended(how: Ended, error: unknown): void;
}
