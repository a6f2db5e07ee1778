/**
 * Logits of a text, as a job of the step loop.
 *
 * @module
 */
import type { StepResult } from "../core/backend.ts";
import type { StepEntry } from "../core/scheduler_types.ts";
import type { AdapterOptions } from "./adapters.ts";
import type { Ended, Job } from "./job.ts";

/**
 * Called with each row as it is computed, positions ascending. `logits` is the
 * backend's own memory: it holds until the call returns.
 */
export type VisitLogits = (position: number, logits: Float32Array) => void;

/** How much of the logits is wanted. */
export interface LogitsOptions extends AdapterOptions {
  /** Default "last". */
  readonly rows?: "last" | "all" | undefined;
  /** Ends the request with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Which rows `eachLogits()` visits. */
export interface EachLogitsOptions extends AdapterOptions {
  /** Position of the first. Default 0. */
  readonly from?: number | undefined;
  /** Ends the request; its reason is thrown. */
  readonly signal?: AbortSignal | undefined;
}

/** Shows wanted rows to a visitor in the steps that compute them. */
export class LogitsJob implements Job {
  /** The request's. */
  readonly id: string;
  /** None: rows are looked at whole. */
  readonly top = 0;
  /** Resolves when every row was shown. */
  readonly done: Promise<void>;
  readonly #visit: VisitLogits;
  /** Position of the next row; a request that gave way computes some again. */
  #next: number;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  /** @param first Position of the first row wanted. */
  constructor(id: string, first: number, visit: VisitLogits) {
    this.id = id;
    this.#next = first;
    this.#visit = visit;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** See {@linkcode Job}. */
  rows(entry: StepEntry, result: StepResult): void {
    const position = entry.start + entry.rows - entry.wanted;
    for (let k = 0; k < entry.wanted; k++) {
      if (position + k !== this.#next) continue;
      this.#visit(this.#next++, result.logits(entry.wantedAt + k));
    }
  }

  /** Never called. */
  sample(): number {
    throw new TypeError("Cannot sample: only logits were asked for");
  }

  /** Never called. */
  take(): boolean {
    return true;
  }

  /** See {@linkcode Job}. */
  ended({ reason }: Ended, error: unknown): void {
    if (reason === "aborted") {
      this.#reject(
        error ?? new DOMException("The request was ended", "AbortError"),
      );
    } else if (reason === "error") this.#reject(error);
    else this.#resolve();
  }
}
