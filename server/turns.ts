/**
 * Work that may take milliseconds, done piece by piece.
 *
 * Many requests that come at once are read, checked and made into tokens one after
 * another; without a pause between them streams that run, and steps of the model,
 * would wait for all of them.
 *
 * @module
 */

/** How long pieces may follow one another, milliseconds. */
const SLICE_MS = 4;

/** Does one piece at a time, and lets others run in between. */
export class Turns {
  readonly #pause: () => Promise<void>;
  readonly #now: () => number;
  #last: Promise<unknown> = Promise.resolve();
  #spent = 0;

  /** `pause`: lets everything else that is due run; `now`: a clock, milliseconds. */
  constructor(
    pause: () => Promise<void> = macrotask,
    now: () => number = () => performance.now(),
  ) {
    this.#pause = pause;
    this.#now = now;
  }

  /** Does a piece when those before it are done; gives what it gives or throws. */
  run<T>(work: () => T): Promise<T> {
    const turn = this.#last.then(async () => {
      if (this.#spent > SLICE_MS) {
        await this.#pause();
        this.#spent = 0;
      }
      const began = this.#now();
      try {
        return work();
      } finally {
        this.#spent += this.#now() - began;
      }
    });
    this.#last = turn.catch(() => {});
    return turn;
  }
}

function macrotask(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 0));
}
