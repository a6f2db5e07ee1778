/**
 * Stops asking a server that does not answer.
 *
 * ```text
 *            failures in a row            pause is over
 *   closed ────────────────────▶ open ────────────────────▶ one try
 *      ▲                          ▲                          │    │
 *      │                          └──────── it failed ───────┘    │
 *      └─────────────────────────── it went well ─────────────────┘
 * ```
 *
 * @module
 */

/** Settings of a breaker. */
export interface BreakerOptions {
  /** Failures in a row after which it opens. */
  readonly failures: number;
  /** Milliseconds for which nothing is asked then. */
  readonly pauseMs: number;
  /** Milliseconds since some moment. */
  readonly now?: () => number;
}

/** Whether to ask: yes, no, or once to see whether it works again. */
export type Gate = "ask" | "no" | "try";

/** Counts what failed. */
export class Breaker {
  readonly #failures: number;
  readonly #pauseMs: number;
  readonly #now: () => number;
  #count = 0;
  #lastFailure = -Infinity;
  #until = -Infinity;
  #trying = false;

  /** Makes it closed. */
  constructor({ failures, pauseMs, now }: BreakerOptions) {
    this.#failures = failures;
    this.#pauseMs = pauseMs;
    this.#now = now ?? (() => performance.now());
  }

  /** Whether nothing is to be asked. */
  get open(): boolean {
    return this.#count >= this.#failures;
  }

  /** Has to be called before each question; after "try", `ok` or `fail` has to follow. */
  gate(): Gate {
    if (!this.open) return "ask";
    if (this.#trying || this.#now() < this.#until) return "no";
    this.#trying = true;
    return "try";
  }

  /** It answered. */
  ok(): void {
    this.#count = 0;
    this.#trying = false;
  }

  /**
   * It did not. Questions that were under way when another one failed are part of
   * the same failure. True when it is open from now on.
   */
  fail(asked: number): boolean {
    if (asked < this.#lastFailure) return false;
    this.#lastFailure = this.#now();
    this.#count++;
    const opens = this.#trying || this.#count === this.#failures;
    this.#trying = false;
    if (opens) this.#until = this.#lastFailure + this.#pauseMs;
    return opens;
  }

  /** Opens at once. */
  trip(): void {
    this.#count = this.#failures;
    this.#trying = false;
    this.#until = this.#now() + this.#pauseMs;
  }
}
