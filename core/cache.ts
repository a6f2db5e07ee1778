/**
 * The KV cache: sequences of blocks in one device's memory.
 *
 * A step goes `reserve`, `load`, `fill`, (the backend runs), `commit`. Running
 * out of blocks is a value. Decoding allocates nothing on the JavaScript heap
 * but what a new block costs.
 *
 * @module
 */
import type { DeviceMemory, StepBatch } from "./backend.ts";
import { BlockStore } from "./block_store.ts";
import { checkCache } from "./cache_check.ts";
import type { CacheStat } from "./cache_stat.ts";
import type { Reservation, Shortfall, Work } from "./cache_types.ts";
import { fillBatch } from "./fill.ts";
import type { LedgerLine } from "./ledger.ts";
import { peakBytes } from "./peak.ts";
import type { CachePlan } from "./plan.ts";
import { findPrefix } from "./prefix.ts";
import { Reservations } from "./reservations.ts";
import { Sequence } from "./sequence.ts";
import type { BlockShape, MaybePromise, SeqId } from "./types.ts";

/** What a cache is made of. */
export interface CacheOptions {
  /** How blocks look, and who decides. */
  readonly plan: CachePlan;
  /** Where the blocks lie. */
  readonly memory: DeviceMemory;
  /** Most bytes of `memory` that blocks take. */
  readonly budgetBytes: number;
  /** Bytes of one open block, default what the plan says. */
  readonly blockBytes?: (shape: BlockShape) => number;
  /** Positions that `trim()` can take back after a window has slid, default 0. */
  readonly slack?: number;
}

/** Makes an empty cache. Throws a TypeError on a plan it cannot carry out. */
export function createCache(options: CacheOptions): KVCache {
  return new KVCache(options);
}

/** Sequences, and what they share. */
export class KVCache {
  /** What the cache carries out. */
  readonly plan: CachePlan;
  /** Most bytes that blocks take. */
  readonly budgetBytes: number;
  readonly #store: BlockStore;
  readonly #steps: Reservations;
  readonly #slack: number;
  readonly #seqs = new Map<SeqId, Sequence>();
  #ids = 0;
  #hitTokens = 0;

  /** See `createCache()`. */
  constructor(options: CacheOptions) {
    const { plan, memory, budgetBytes, slack = 0 } = options;
    requireCarried(plan);
    this.plan = plan;
    this.budgetBytes = budgetBytes;
    this.#slack = slack;
    const bytes = plan.groups.map((g) =>
      options.blockBytes?.(g.shape) ?? g.blockBytes
    );
    this.#store = new BlockStore(plan, memory, budgetBytes, bytes);
    this.#steps = new Reservations(
      plan,
      this.#store,
      slack,
      (seq, action) => this.#free(seq, action),
    );
  }

  /**
   * Starts a sequence with as much of `prompt` as is cached, never its last
   * token. `reuse: false` starts it empty.
   */
  open(
    prompt: ArrayLike<number>,
    options: { readonly reuse?: boolean } = {},
  ): { readonly seq: SeqId; readonly cached: number } {
    const { groups, index, observe } = this.plan;
    const s = this.#fresh();
    const hit = index === undefined || options.reuse === false
      ? undefined
      : findPrefix(prompt, groups, this.#steps.chains, this.#store);
    if (hit === undefined) return { seq: s.id, cached: 0 };
    for (const [g, table] of s.tables.entries()) {
      for (const id of hit.blocks[g]!) {
        if (id !== 0) this.#store.retain(id);
        table.push(id);
      }
      table.count = table.pending;
      table.pending = 0;
      table.hashed = table.count;
      table.digest.set(hit.digests[g]!);
      table.slide(hit.length);
    }
    s.write(prompt, 0, hit.length, 0);
    s.length = hit.length;
    this.#hitTokens += hit.length;
    if (observe.length > 0) {
      this.#store.emit({ type: "hit", seq: s.id, tokens: hit.length });
    }
    return { seq: s.id, cached: hit.length };
  }

  /**
   * Takes and pins blocks for the work, all or none. Nothing a reader can see
   * changes before `commit()`. Each sequence has one reservation at a time.
   * `count`: how many of the work, default all.
   */
  reserve(
    work: readonly Work[],
    count: number = work.length,
  ): Reservation | Shortfall {
    return this.#steps.reserve(work, count);
  }

  /** Brings what the step will read to the device. The only step that may wait. */
  load(r: Reservation): MaybePromise<void> {
    this.#steps.require(r, "load");
  }

  /**
   * Writes the rows and tables of a reservation into `batch`, in the order of
   * its work; wanted rows are the caller's. Throws a RangeError where the
   * batch is too small.
   */
  fill(r: Reservation, batch: StepBatch): void {
    const { list, seqs, rows } = this.#steps.require(r, "fill");
    fillBatch(list, seqs, rows, this.plan, this.#store, batch);
  }

  /** After the step has run: seals and indexes full blocks, releases unseen ones. */
  commit(r: Reservation): void {
    this.#steps.commit(r);
  }

  /** Gives the blocks back; the sequences are as before. */
  cancel(r: Reservation): void {
    this.#steps.cancel(r);
  }

  /** A second sequence with the same content; blocks are copied when written. */
  fork(seq: SeqId): SeqId {
    const s = this.#free(seq, "fork");
    const made = this.#fresh();
    made.write(s.tokens, 0, s.length, 0);
    made.length = s.length;
    for (const [g, table] of made.tables.entries()) table.share(s.tables[g]!);
    return made.id;
  }

  /**
   * Takes positions from `length` on back. A RangeError where that needs
   * blocks a window has released: start the sequence again, or give `slack`.
   */
  trim(seq: SeqId, length: number): void {
    const s = this.#free(seq, "trim");
    if (!Number.isInteger(length) || length < 0 || length > s.length) {
      throw new RangeError(
        `Cannot trim sequence ${seq} to ${length}: 0 to ${s.length} are possible`,
      );
    }
    for (const [g, table] of s.tables.entries()) {
      if (table.sees(length)) continue;
      throw new RangeError(
        `Cannot trim sequence ${seq} from ${s.length} to ${length}: group ${g} has released blocks that position ${length} sees; open the sequence again`,
      );
    }
    for (const table of s.tables) table.cut(length);
    s.length = length;
  }

  /** Ends a sequence; the tail of a chain is the first to become idle. */
  close(seq: SeqId): void {
    const s = this.#free(seq, "close");
    for (const table of s.tables) table.cut(0);
    this.#seqs.delete(seq);
  }

  /** Positions a sequence has, those of a reservation not counted. */
  length(seq: SeqId): number {
    return this.#get(seq).length;
  }

  /** Bytes a reservation could get now, idle blocks included. */
  get available(): number {
    return this.#store.available;
  }

  /** Most bytes one sequence of `length` takes at once, in steps of `chunk`. */
  peakBytes(length: number, chunk: number): number {
    return peakBytes(
      this.plan.groups,
      this.#store,
      length,
      chunk,
      this.#slack,
    );
  }

  /** Gives up every idle block. */
  evictIdle(): void {
    while (this.#store.evict());
  }

  /** The bytes held, by group. */
  lines(): readonly LedgerLine[] {
    return this.#store.pools.map((p, g) => ({
      tier: "device",
      owner: "kv",
      component: `group ${g}`,
      bytes: p.held,
      peak: this.#store.peaks[g]!,
    }));
  }

  /** The figures; allocates. */
  stat(): CacheStat {
    const store = this.#store;
    let tokens = 0;
    for (const s of this.#seqs.values()) tokens += s.length;
    return {
      blocks: {
        open: store.live - store.sealed,
        sealed: store.sealed,
        idle: store.idle,
      },
      tiers: [{
        id: "device",
        used: store.quota.held,
        capacity: this.budgetBytes,
      }],
      sequences: this.#seqs.size,
      tokens,
      available: store.available,
      hitTokens: this.#hitTokens,
      copies: store.copies,
      evictions: store.evictions,
      moves: 0,
      restores: 0,
    };
  }

  /** Recounts the books; throws on the first disagreement. */
  check(): void {
    checkCache(this.plan, this.#store, this.#seqs, this.#slack);
  }

  #fresh(): Sequence {
    const id = ++this.#ids as SeqId;
    const s = new Sequence(id, this.plan.groups, this.#store);
    this.#seqs.set(id, s);
    return s;
  }

  #get(seq: SeqId): Sequence {
    const s = this.#seqs.get(seq);
    if (s === undefined) {
      throw new TypeError(`Cannot find sequence ${seq}: it is closed`);
    }
    return s;
  }

  /** A sequence that no reservation holds. */
  #free(seq: SeqId, action: string): Sequence {
    const s = this.#get(seq);
    if (s.pending > 0) {
      throw new TypeError(
        `Cannot ${action} sequence ${seq}: a step holds it; commit or cancel that first`,
      );
    }
    return s;
  }
}

/** Throws a TypeError on codecs and tiers. */
function requireCarried(plan: CachePlan): void {
  for (const g of plan.groups) {
    if (g.codec.id === "raw" && g.tierCodecs.size === 0) continue;
    throw new TypeError(
      `Cannot create a cache with codec "${g.codec.id}": blocks stay in the backend's format "${plan.rawFormat}"`,
    );
  }
  if (plan.tiers.length > 0) {
    throw new TypeError(
      `Cannot create a cache with tier "${
        plan.tiers[0]!.id
      }": blocks stay in the backend's memory`,
    );
  }
}
