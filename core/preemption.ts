/**
 * Taking memory from requests that run, and what that costs.
 *
 * A request that gives way is either swapped, its blocks moved to a tier below, or
 * dropped, its blocks computed again later; by default whichever takes less time,
 * by what both took of late; where hidden states are kept, they count.
 *
 * @module
 */
import type { KVCache } from "./cache.ts";
import { MOST_LOSSES } from "./admit.ts";
import { insert, remove, type RequestState } from "./request_state.ts";
import type { GiveWay } from "./scheduler_types.ts";

/** How many rows of a step tell what one costs. */
const MANY_ROWS = 16;

/** Moves requests from running back to waiting. Both lists ascend by arrival. */
export class Preemption {
  /** Preemptions, and how many of them were swaps. */
  preempted = 0;
  swapped = 0;
  readonly #cache: KVCache;
  readonly #waiting: RequestState[];
  readonly #running: RequestState[];

  constructor(
    cache: KVCache,
    waiting: RequestState[],
    running: RequestState[],
  ) {
    this.#cache = cache;
    this.#waiting = waiting;
    this.#running = running;
  }

  /** Notes how long a step took, and whether it restored its rows. */
  timed(rows: number, seconds: number, restores: boolean): void {
    if (rows < MANY_ROWS) return;
    const cache = this.#cache;
    if (restores) return cache.timedRestore(rows, seconds);
    cache.rowSeconds += (seconds / rows - cache.rowSeconds) / 8;
  }

  /**
   * Who gives way; never the oldest that has something to compute, so that somebody
   * always comes to an end.
   */
  victim(): RequestState {
    const oldest = this.#running.find((s) => !s.held);
    const others = this.#running.filter((s) => s !== oldest);
    const chosen = this.#cache.plan.admission.victim(
      others.map((s) => s.request),
    );
    return others.find((s) => s.request === chosen) ?? others.at(-1)!;
  }

  /** Takes a running request's memory; it waits. */
  giveWay(s: RequestState, how: GiveWay): void {
    const swap = s.losses >= MOST_LOSSES
      ? false
      : how === "auto"
      ? this.#cache.swapSeconds(s.seq!) < this.#cache.againSeconds(s.seq!)
      : how === "swap";
    if (swap && this.#cache.swapOut(s.seq!)) this.swapped++;
    else this.#forget(s);
    s.leaving = undefined;
    s.coming = false;
    this.preempted++;
    remove(this.#running, s);
    insert(this.#waiting, s);
    this.#cache.emit({ type: "preempt", id: s.request.id });
  }

  /**
   * Gives up what swapped requests still hold on the device, as they shared it;
   * false where there is nothing.
   */
  forgetSwapped(): boolean {
    let any = false;
    for (const s of this.#waiting) {
      if (s.seq === undefined) continue;
      this.#forget(s);
      any = true;
    }
    return any;
  }

  /** Its blocks have to be computed again. */
  #forget(s: RequestState): void {
    this.#cache.close(s.seq!);
    s.seq = undefined;
    s.computed = 0;
    s.spilled = false;
    s.restores = undefined;
  }
}
