/**
 * What the step loop asks of a request it runs.
 *
 * @module
 */
import type { StepResult } from "../core/backend.ts";
import type { FinishReason, StepEntry } from "../core/scheduler_types.ts";

/**
 * One request, from its owner's side. The loop calls these between steps; what
 * one throws ends this request only.
 */
export interface Job {
  readonly id: string;
  /** How many of the largest logits its rows need. */
  readonly top: number;
  /** The step has run: take what `entry`'s rows gave. */
  rows(entry: StepEntry, result: StepResult): void;
  /** Chooses the token of an entry that samples. */
  sample(entry: StepEntry, result: StepResult): number;
  /** Whether `token` ends the request. Called once for each sampled token. */
  take(token: number): boolean;
  /** No more steps. `error`: why, where it is known. */
  ended(reason: FinishReason, error: unknown): void;
}
