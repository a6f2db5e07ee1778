/**
 * Drives a cache over a fake backend and compares every row with the oracle.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createCache, type KVCache, type OpenOptions } from "../cache.ts";
import type { Reservation, Work } from "../cache_types.ts";
import type { CachePlan } from "../plan.ts";
import type { Plugin } from "../plugin.ts";
import type { SeqId } from "../types.ts";
import {
  type FakeBackend,
  fakeNext,
  type FakeOptions,
} from "./fake_backend.ts";
import { fakePlan } from "./fake_plan.ts";

/** A cache, and beside it what each sequence must hold. */
export class CacheDriver {
  readonly plan: CachePlan;
  readonly backend: FakeBackend;
  readonly cache: KVCache;
  /** Tokens of every open sequence. */
  readonly truth = new Map<SeqId, number[]>();

  constructor(plan: CachePlan, backend: FakeBackend, cache: KVCache) {
    this.plan = plan;
    this.backend = backend;
    this.cache = cache;
  }

  /** Starts a sequence; what is cached of the prompt is its content. */
  open(prompt: readonly number[], options: OpenOptions = {}): SeqId {
    const { seq, cached } = this.cache.open(prompt, options);
    assert.ok(cached < Math.max(1, prompt.length));
    this.truth.set(seq, prompt.slice(0, cached));
    return seq;
  }

  /**
   * Appends in one step; false when there is no room. `kept`: how many positions
   * of each stay, default all.
   */
  append(work: readonly Work[], kept?: readonly number[]): boolean {
    const r = this.cache.reserve(work);
    if (!r.ok) {
      assert.ok(r.blocks > 0 && r.bytes > 0);
      return false;
    }
    const before = work.map(({ seq }) => this.truth.get(seq)!.length);
    this.run(r, work);
    this.cache.commit(r, kept);
    kept?.forEach((rows, i) => {
      this.truth.get(work[i]!.seq)!.length = before[i]! + rows;
    });
    return true;
  }

  /** As `append()`, through `load()` as an engine does; rejects as that does. */
  async appendLoaded(work: readonly Work[]): Promise<boolean> {
    const r = this.cache.reserve(work);
    if (!r.ok) return false;
    try {
      await this.cache.load(r);
    } catch (e) {
      this.cache.cancel(r);
      throw e;
    }
    this.run(r, work);
    this.cache.commit(r);
    this.check();
    return true;
  }

  /** Fills and runs a reservation and compares; the caller commits. */
  run(r: Reservation, work: readonly Work[]): void {
    this.cache.fill(r, this.backend.batch);
    const next = this.backend.runRows();
    assert.equal(next.length, r.rows);
    let row = 0;
    for (const { seq, tokens, from = 0, to = tokens.length } of work) {
      const truth = this.truth.get(seq)!;
      for (let i = from; i < to; i++) {
        truth.push(tokens[i]!);
        assert.equal(
          next[row++],
          fakeNext(this.plan, truth),
          `sequence ${seq} at ${truth.length - 1}`,
        );
      }
    }
  }

  /** Forks a sequence, at a length or whole, and what it must hold. */
  fork(seq: SeqId, length?: number): SeqId {
    const made = this.cache.fork(seq, length);
    this.truth.set(made, this.truth.get(seq)!.slice(0, length));
    return made;
  }

  /** Trims; false where a window has let go of what is needed. */
  trim(seq: SeqId, length: number): boolean {
    try {
      this.cache.trim(seq, length);
    } catch (e) {
      assert.ok(e instanceof RangeError, String(e));
      return false;
    }
    this.truth.get(seq)!.length = length;
    return true;
  }

  /** Closes a sequence. */
  close(seq: SeqId): void {
    this.cache.close(seq);
    this.truth.delete(seq);
  }

  /** Checks the books and the lengths. */
  check(): void {
    this.cache.check();
    this.backend.memory.check();
    for (const [seq, tokens] of this.truth) {
      assert.equal(this.cache.length(seq), tokens.length);
    }
  }

  /** Closes and evicts everything; not one byte may stay behind. */
  end(): void {
    for (const seq of [...this.truth.keys()]) this.close(seq);
    this.cache.evictIdle();
    this.check();
    assert.equal(this.backend.memory.stat().used, 0);
    assert.deepEqual(this.cache.stat().blocks, { open: 0, sealed: 0, idle: 0 });
  }
}

/** A driver with a cache of `budgetBytes`. */
export async function cacheDriver(
  plugins: readonly Plugin[],
  options: FakeOptions & {
    readonly layers?: number;
    readonly budgetBytes?: number;
    readonly slack?: number;
  } = {},
): Promise<CacheDriver> {
  const { plan, backend } = await fakePlan(plugins, options);
  const { slack = 0, budgetBytes = backend.limits.bytes } = options;
  const { memory, openBlocks } = backend;
  const { segmentTokens } = options;
  const cache = createCache({
    plan,
    memory,
    openBlocks,
    budgetBytes,
    slack,
    segmentTokens,
  });
  return new CacheDriver(plan, backend, cache);
}

/** Repeatable random whole numbers from 0 to n, exclusive. */
export function dice(seed: number): (n: number) => number {
  let x = (Math.imul(seed, 0x9E3779B1) ^ 0x5bd1e995) >>> 0;
  return (n) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    x >>>= 0;
    return x % n;
  };
}
