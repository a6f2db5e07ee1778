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
import { KeyChain } from "./content_key.ts";
import { fillBatch } from "./fill.ts";
import type { LedgerLine } from "./ledger.ts";
import { peakBytes } from "./peak.ts";
import type { CachePlan } from "./plan.ts";
import { findPrefix } from "./prefix.ts";
import { reserveBlocks } from "./reserve.ts";
import { Sequence } from "./sequence.ts";
import type { BlockShape, MaybePromise, SeqId } from "./types.ts";

/** What a cache is made of. */
export interface CacheOptions {
  readonly plan: CachePlan;
  readonly memory: DeviceMemory;
  /** Most bytes of `memory` that blocks take. */
  readonly budgetBytes: number;
  /** Bytes of one open block, default what the plan says. */
  readonly blockBytes?: (shape: BlockShape) => number;
  /** Positions that `trim()` can take back after a window has slid, default 0. */
  readonly slack?: number;
}

class Step implements Reservation {
  readonly ok = true;
  /** Sequences `list[0 .. seqs)`; older ones behind them wait to be replaced. */
  readonly list: Sequence[] = [];
  rows = 0;
  seqs = 0;
  live = false;
}

/** Makes an empty cache. Throws a TypeError on a plan it cannot carry out. */
export function createCache(options: CacheOptions): KVCache {
  return new KVCache(options);
}

/** Sequences, and what they share. */
export class KVCache {
  readonly plan: CachePlan;
  readonly budgetBytes: number;
  readonly #store: BlockStore;
  readonly #chains: readonly KeyChain[];
  readonly #slack: number;
  readonly #seqs = new Map<SeqId, Sequence>();
  /** Reservations given back, to use again. */
  readonly #steps: Step[] = [];
  #ids = 0;
  #reserves = 0;
  #hitTokens = 0;

  constructor(options: CacheOptions) {
    const { plan, memory, budgetBytes, slack = 0 } = options;
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
    this.plan = plan;
    this.budgetBytes = budgetBytes;
    this.#slack = slack;
    const bytes = plan.groups.map((g) =>
      options.blockBytes?.(g.shape) ?? g.blockBytes
    );
    this.#store = new BlockStore(plan, memory, budgetBytes, bytes);
    this.#chains = plan.groups.map((g, i) =>
      new KeyChain(plan.fingerprint, i, g.shape.tokens)
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
      : findPrefix(prompt, groups, this.#chains, this.#store);
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
    const step = this.#steps.pop() ?? new Step();
    const mark = ++this.#reserves;
    for (let i = 0; i < count; i++) {
      const { seq, tokens, from = 0, to = tokens.length } = work[i]!;
      const s = this.#free(seq, "reserve for");
      if (s.seen === mark || !(to > from)) {
        this.#steps.push(step);
        throw new TypeError(
          s.seen === mark
            ? `Cannot reserve for sequence ${seq} twice in one step`
            : `Cannot reserve for sequence ${seq}: no tokens from ${from} to ${to}`,
        );
      }
      s.seen = mark;
      step.list[i] = s;
    }
    let rows = 0;
    for (let i = 0; i < count; i++) {
      const { tokens, from = 0, to = tokens.length } = work[i]!;
      const s = step.list[i]!;
      s.write(tokens, from, to, s.length);
      s.pending = to - from;
      rows += to - from;
    }
    const { groups } = this.plan;
    const short = reserveBlocks(step.list, count, groups, this.#store);
    step.seqs = count;
    step.rows = rows;
    step.live = true;
    if (short === undefined) return step;
    for (let i = 0; i < count; i++) step.list[i]!.pending = 0;
    this.#retire(step);
    return short;
  }

  /** Brings what the step will read to the device. The only step that may wait. */
  load(r: Reservation): MaybePromise<void> {
    this.#step(r, "load");
  }

  /**
   * Writes the rows and tables of a reservation into `batch`, in the order of
   * its work; wanted rows are the caller's. Throws a RangeError where the
   * batch is too small.
   */
  fill(r: Reservation, batch: StepBatch): void {
    const step = this.#step(r, "fill");
    fillBatch(step.list, step.seqs, step.rows, this.plan, this.#store, batch);
  }

  /** After the step has run: seals and indexes full blocks, releases unseen ones. */
  commit(r: Reservation): void {
    const step = this.#step(r, "commit");
    for (let i = 0; i < step.seqs; i++) {
      const s = step.list[i]!;
      const old = s.length;
      s.length += s.pending;
      s.pending = 0;
      for (let g = 0; g < s.tables.length; g++) {
        const table = s.tables[g]!;
        table.count += table.pending;
        table.pending = 0;
        this.#seal(s, g, old);
        table.slide(Math.max(0, s.length - this.#slack));
      }
    }
    this.#retire(step);
  }

  /** Gives the blocks back; the sequences are as before. */
  cancel(r: Reservation): void {
    const step = this.#step(r, "cancel");
    for (let i = 0; i < step.seqs; i++) {
      const s = step.list[i]!;
      for (const table of s.tables) table.drop();
      s.pending = 0;
    }
    this.#retire(step);
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
    checkCache(this.plan, this.#store, this.#seqs);
  }

  /** Seals the blocks that became full since the sequence had `old` positions. */
  #seal(s: Sequence, g: number, old: number): void {
    const table = s.tables[g]!;
    const { tokens } = this.plan.groups[g]!.shape;
    const full = Math.floor(s.length / tokens);
    const first = Math.floor(old / tokens);
    if (full === first) return;
    const keyed = this.plan.index !== undefined;
    const chain = this.#chains[g]!;
    if (keyed && table.hashed === 0) chain.reset(table.digest);
    for (let b = keyed ? table.hashed : first; b < full; b++) {
      if (keyed) chain.advance(table.digest, s.tokens, b * tokens);
      if (b < first) continue;
      this.#store.seal(
        table.ids[b]!,
        keyed ? chain.key(table.digest) : undefined,
      );
    }
    table.hashed = keyed ? full : 0;
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

  #step(r: Reservation, action: string): Step {
    if (!(r instanceof Step) || !r.live) {
      throw new TypeError(
        `Cannot ${action} a reservation that is committed or cancelled`,
      );
    }
    return r;
  }

  #retire(step: Step): void {
    step.live = false;
    step.seqs = 0;
    step.rows = 0;
    this.#steps.push(step);
  }
}
