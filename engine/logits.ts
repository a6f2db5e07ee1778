/**
 * Logits of a text, as a job of the step loop.
 *
 * @module
 */
import type { StepResult } from "../core/backend.ts";
import type { FinishReason, StepEntry } from "../core/scheduler_types.ts";
import type { Job } from "./job.ts";

/** Copies wanted rows out of the steps that compute them. */
export class LogitsJob implements Job {
  readonly id: string;
  readonly top = 0;
  /** Resolves to rows × vocabulary, row-major. */
  readonly done: Promise<Float32Array>;
  readonly #out: Float32Array;
  readonly #vocab: number;
  readonly #first: number;
  #resolve!: (out: Float32Array) => void;
  #reject!: (error: Error) => void;

  /** @param first Position of the first row wanted. */
  constructor(id: string, first: number, rows: number, vocab: number) {
    this.id = id;
    this.#first = first;
    this.#vocab = vocab;
    this.#out = new Float32Array(rows * vocab);
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  rows(entry: StepEntry, result: StepResult): void {
    const position = entry.start + entry.rows - entry.wanted;
    for (let k = 0; k < entry.wanted; k++) {
      const row = position + k - this.#first;
      if (row < 0) continue;
      this.#out.set(result.logits(entry.wantedAt + k), row * this.#vocab);
    }
  }

  sample(): number {
    throw new TypeError("Cannot sample: only logits were asked for");
  }

  take(): boolean {
    return true;
  }

  ended(reason: FinishReason, error: Error | undefined): void {
    if (error !== undefined) this.#reject(error);
    else if (reason === "aborted") {
      this.#reject(new DOMException("The request was ended", "AbortError"));
    } else this.#resolve(this.#out);
  }
}
