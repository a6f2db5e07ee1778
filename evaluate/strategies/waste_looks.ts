/**
 * What a cache holds and what of it is empty, look by look.
 *
 * @module
 */
import type { KVCache } from "../../core/cache.ts";
import type { Scheduler } from "../../core/scheduler.ts";
import type { PaperMemory } from "./paper_memory.ts";
import { mean, quantile } from "./percentiles.ts";

/** What a replay found. Shares are of the bytes held, at each look. */
export interface Waste {
  /** Mean and 95 % of the share that no token is in. */
  readonly mean: number;
  readonly p95: number;
  /** All unused bytes over all held bytes: large holdings count more. */
  readonly ofBytes: number;
  /** The part of `ofBytes` that is ends of blocks, and that of free slots in slabs. */
  readonly tails: number;
  readonly slabs: number;
  /** Most bytes outside of what is held that were of no use for a slab more. */
  readonly outside: number;
  /** Of it what lies between spans; the rest is the budget's own remainder. */
  readonly between: number;
  /** Requests that ran and MiB held, mean over the looks. */
  readonly running: number;
  readonly heldBytes: number;
  readonly blockTokens: number;
  /** Blocks taken at once. */
  readonly slabBlocks: number;
  readonly steps: number;
  readonly preempted: number;
  readonly looks: number;
}

/** What was seen, look by look. */
export class Looks {
  readonly #cache: KVCache;
  readonly #memory: PaperMemory;
  readonly #shares: number[] = [];
  readonly #running: number[] = [];
  #held = 0;
  #unused = 0;
  #slabs = 0;
  #outside = 0;
  #between = 0;

  constructor(cache: KVCache, memory: PaperMemory) {
    this.#cache = cache;
    this.#memory = memory;
  }

  /** Looks now; nothing held is nothing to see. */
  look(scheduler: Scheduler): void {
    const { blocks, tiers, unused } = this.#cache.stat();
    const held = tiers[0]!.used;
    if (held === 0) return;
    const { blockBytes } = this.#group;
    this.#shares.push(unused / held);
    this.#running.push(scheduler.stat().running);
    this.#held += held;
    this.#unused += unused;
    this.#slabs += held - (blocks.open + blocks.sealed) * blockBytes;
    const slab = this.#slab * blockBytes;
    const free = this.#cache.budgetBytes - held;
    const outside = free - this.#memory.room(slab) * slab;
    this.#outside = Math.max(this.#outside, outside);
    this.#between = Math.max(this.#between, outside - free % slab);
  }

  /** All of it. Throws a RangeError where nothing was held at any look. */
  result(steps: number, preempted: number): Waste {
    const looks = this.#shares.length;
    if (looks === 0) {
      throw new RangeError(
        "Cannot tell the waste of a replay: nothing was held between its steps, requests with more tokens to make are wanted",
      );
    }
    return {
      mean: mean(this.#shares),
      p95: quantile(this.#shares, 0.95),
      ofBytes: this.#unused / this.#held,
      tails: (this.#unused - this.#slabs) / this.#held,
      slabs: this.#slabs / this.#held,
      outside: this.#outside,
      between: this.#between,
      running: mean(this.#running),
      heldBytes: this.#held / looks,
      blockTokens: this.#group.shape.tokens,
      slabBlocks: this.#slab,
      steps,
      preempted,
      looks,
    };
  }

  get #group(): KVCache["plan"]["groups"][number] {
    return this.#cache.plan.groups[0]!;
  }

  get #slab(): number {
    return this.#group.slab?.blocks ?? 1;
  }
}
