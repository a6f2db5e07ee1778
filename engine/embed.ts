/**
 * A text as a point, as a job of the step loop.
 *
 * @module
 */
import type { StepResult } from "../core/backend.ts";
import type { StepEntry } from "../core/scheduler_types.ts";
import type { Ended, Job } from "./job.ts";

/** How a text becomes a point. */
export interface EmbedOptions {
  /** The mean over all positions, the default, or the last one alone. */
  readonly pool?: "mean" | "last" | undefined;
  /** Whose request it is; see `GenerateOptions`. */
  readonly tenant?: string | undefined;
  /** Ends the request with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Position of the first row that counts. Throws a RangeError for another `pool`. */
export function firstPooled(pool: string, length: number): number {
  if (pool === "mean") return 0;
  if (pool === "last") return length - 1;
  throw new RangeError(
    `Cannot embed with "pool" "${pool}": "mean", "last" are possible`,
  );
}

/** Adds rows up in the order of their positions, however steps cut them. */
export class EmbedJob implements Job {
  /** The request's. */
  readonly id: string;
  /** None. */
  readonly top = 0;
  readonly states = true;
  /** Resolves to the point; undefined where it is none. */
  readonly done: Promise<Float32Array | undefined>;
  readonly #sum: Float64Array;
  readonly #row: Float32Array;
  readonly #length: number;
  /** Position of the next row; a request that gave way computes some again. */
  #next: number;
  #resolve!: (point: Float32Array | undefined) => void;
  #reject!: (error: unknown) => void;

  /** @param first Position of the first row that counts, of `length`. */
  constructor(id: string, first: number, length: number, width: number) {
    this.id = id;
    this.#next = first;
    this.#length = length;
    this.#sum = new Float64Array(width);
    this.#row = new Float32Array(width);
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** See {@linkcode Job}. */
  rows({ start, row, rows }: StepEntry, result: StepResult): void {
    for (let k = 0; k < rows; k++) {
      if (start + k !== this.#next) continue;
      this.#next++;
      result.state(row + k, this.#row);
      for (let i = 0; i < this.#row.length; i++) this.#sum[i]! += this.#row[i]!;
    }
  }

  /** Never called. */
  sample(): number {
    throw new TypeError("Cannot sample: only a point was asked for");
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
    else this.#resolve(this.#point());
  }

  /** The mean's direction is that of the sum. */
  #point(): Float32Array | undefined {
    if (this.#next !== this.#length) return undefined;
    let squares = 0;
    for (const x of this.#sum) squares += x * x;
    const scale = 1 / Math.sqrt(squares);
    if (!(squares > 0 && squares < Infinity)) return undefined;
    return Float32Array.from(this.#sum, (x) => x * scale);
  }
}
