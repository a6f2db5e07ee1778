/**
 * How many requests there may be at a time.
 *
 * Who runs next among those inside is the scheduler's business; the queue only
 * keeps their number bounded, so that one more is told to come again instead of
 * waiting for minutes.
 *
 * @module
 */
import { tooMany } from "./errors.ts";

/** A request's place among those that are answered. */
export interface Place extends Disposable {
  /** Gives it back; once. */
  [Symbol.dispose](): void;
}

/** Counts places. */
export class Queue {
  /** Places there are. */
  readonly most: number;
  readonly #now: () => number;
  #taken = 0;
  #refused = 0;
  /** Mean time that a place is taken, milliseconds; of late. */
  #meanMs = 1000;
  #idle: (() => void)[] = [];

  /** `now`: a clock, milliseconds. */
  constructor(most: number, now: () => number = () => performance.now()) {
    this.most = most;
    this.#now = now;
  }

  /** Places taken. */
  get taken(): number {
    return this.#taken;
  }

  /** Requests refused since creation. */
  get refused(): number {
    return this.#refused;
  }

  /** Takes `places` for one request. Throws an ApiError, 429, where there are too few. */
  enter(places: number): Place {
    if (this.#taken + places > this.most) {
      this.#refused++;
      throw tooMany(
        `Cannot take the request: ${this.#taken} of ${this.most} places are taken and it needs ${places}`,
        this.#wait(),
        "queue_full",
      );
    }
    this.#taken += places;
    const began = this.#now();
    let over = false;
    return {
      [Symbol.dispose]: () => {
        if (over) return;
        over = true;
        this.#taken -= places;
        this.#meanMs += (this.#now() - began - this.#meanMs) / 8;
        if (this.#taken > 0) return;
        for (const wake of this.#idle) wake();
        this.#idle = [];
      },
    };
  }

  /** Resolves when no place is taken. */
  async idle(): Promise<void> {
    while (this.#taken > 0) {
      await new Promise<void>((resolve) => this.#idle.push(resolve));
    }
  }

  /** Seconds until a place is likely to be free. */
  #wait(): number {
    return Math.min(60, this.#meanMs / 1000);
  }
}
