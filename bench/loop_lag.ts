/**
 * How long a thread was busy with one thing.
 *
 * @module
 */

/** Milliseconds between looks. */
const LOOK = 2;

/** Measures from its creation until it is disposed of. */
export class LoopLag implements Disposable {
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #lags: number[] = [];
  #last = performance.now();

  constructor() {
    this.#timer = setInterval(() => {
      const now = performance.now();
      this.#lags.push(Math.max(0, now - this.#last - LOOK));
      this.#last = now;
    }, LOOK);
  }

  /** Longest time nothing else came to run, milliseconds. */
  get most(): number {
    return this.#lags.reduce((most, lag) => Math.max(most, lag), 0);
  }

  /** So many of a thousand looks were late by no more than this, milliseconds. */
  quantile(of1000: number): number {
    const sorted = this.#lags.toSorted((a, b) => a - b);
    return sorted[
      Math.min(sorted.length - 1, Math.floor(sorted.length * of1000 / 1000))
    ] ?? 0;
  }

  /** How many looks were late by more than so many milliseconds. */
  over(ms: number): number {
    return this.#lags.filter((lag) => lag > ms).length;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }
}
