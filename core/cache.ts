/**
 * The KV cache: sequences of blocks in one device's memory.
 *
 * A step goes `reserve`, `load`, `fill`, (the backend runs), `commit`. Running
 * out of blocks is a value. Decoding allocates nothing on the JavaScript heap
 * but what a new block costs.
 *
 * @module
 */
import type { AdapterSet } from "./adapters.ts";
import type { DeviceMemory, OpenBlocks, StepBatch } from "./backend.ts";
import { BlockStore } from "./block_store.ts";
import type { BlockTable } from "./block_table.ts";
import { checkCache } from "./cache_check.ts";
import { Checkpoints } from "./checkpoints.ts";
import type { CacheStat } from "./cache_stat.ts";
import type {
  Reservation,
  Restorable,
  Shortfall,
  StepPart,
  Work,
} from "./cache_types.ts";
import { fillBatch } from "./fill.ts";
import type { LedgerLine } from "./ledger.ts";
import { requireCarried } from "./carried.ts";
import { forkedBytes, growthBytes, peakBytes, spilledBytes } from "./peak.ts";
import type { CachePlan } from "./plan.ts";
import type { Pool } from "./pool.ts";
import { type KeptOptions, KeptPrefix } from "./kept_prefix.ts";
import { Prompts } from "./prompts.ts";
import { Reservations } from "./reservations.ts";
import { Sequence } from "./sequence.ts";
import { Spill } from "./spill.ts";
import {
  arrival,
  comeBack,
  isAway,
  isComing,
  land,
  ownBytes,
  summon,
  swapOut,
} from "./swap.ts";
import type { CacheEvent, Miss } from "./slots.ts";
import type { BlockShape, MaybePromise, SeqId } from "./types.ts";
import { unusedBytes } from "./unused.ts";

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
  /** The backend's, for codecs that it has no kernel for. Default: none. */
  readonly openBlocks?: OpenBlocks | undefined;
  /**
   * Positions that the backend reads at a time of blocks that are not on the device
   * (`StreamBatch`). Default 0: all have to be there.
   */
  readonly segmentTokens?: number | undefined;
  /** Positions that `trim()` can take back after a window has slid, default 0. */
  readonly slack?: number;
}

/** What a position is taken to cost until steps were timed. */
const ROW_SECONDS = 0.002;

/** How a sequence is opened. */
export interface OpenOptions {
  /** Default true; false starts it empty. */
  readonly reuse?: boolean;
  /** Default true; false finds only what is on the device. */
  readonly tiers?: boolean;
  /** Sequences of different salts share nothing by content. Default "". */
  readonly salt?: string;
  /** What its rows are computed with; part of the `salt` too (`saltOf()`). */
  readonly adapters?: AdapterSet | undefined;
  /** What its blocks are worth to an index that looks at it. Default 0. */
  readonly priority?: number;
}

/** A sequence, and what was found of its prompt. */
export interface Opened {
  /** The new sequence. */
  readonly seq: SeqId;
  /** Positions it begins with. */
  readonly cached: number;
  /** Why it does not begin with more; undefined where no more could be shared. */
  readonly miss: Miss | undefined;
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
  readonly #memory: DeviceMemory;
  readonly #steps: Reservations;
  readonly #prompts: Prompts;
  readonly #spill: Spill;
  /** Undefined where nobody keeps hidden states. */
  readonly #checkpoints: Checkpoints | undefined;
  readonly #slack: number;
  readonly #seqs = new Map<SeqId, Sequence>();
  #ids = 0;
  #forks = 0;
  /** Seconds that computing one position takes, about: what loading is weighed against. */
  rowSeconds: number = ROW_SECONDS;

  /** See `createCache()`. */
  constructor(options: CacheOptions) {
    const { plan, memory, budgetBytes, slack = 0, openBlocks } = options;
    requireCarried(plan, openBlocks);
    this.plan = plan;
    this.budgetBytes = budgetBytes;
    this.#slack = slack;
    const bytes = plan.groups.map((g) =>
      options.blockBytes?.(g.shape) ?? g.blockBytes
    );
    this.#memory = memory;
    this.#store = new BlockStore(plan, memory, budgetBytes, bytes, openBlocks);
    this.#spill = new Spill(
      plan.groups,
      this.#store,
      options.segmentTokens ?? 0,
    );
    this.#checkpoints = Checkpoints.of(plan);
    this.#steps = new Reservations(
      plan,
      this.#store,
      slack,
      (seq, action) => this.#free(seq, action),
    );
    this.#prompts = new Prompts(plan, this.#store, this.#steps.chains);
  }

  /**
   * Starts a sequence with as much of `prompt` as is cached, never its last
   * token.
   */
  open(prompt: ArrayLike<number>, options: OpenOptions = {}): Opened {
    const { salt = "", priority = 0 } = options;
    const s = this.#fresh(salt, priority);
    s.adapters = options.adapters;
    const miss = this.#prompts.begin(
      s,
      prompt,
      options,
      (from, end) => this.#againSeconds(s, prompt, from, end),
    );
    return { seq: s.id, cached: s.length, miss };
  }

  /**
   * Asks tiers that cannot answer at once what they have of a prompt, so that `open()`
   * finds it. Undefined where there is nobody to ask; never rejects.
   */
  seek(prompt: ArrayLike<number>, salt = ""): Promise<unknown> | undefined {
    return this.#prompts.seek(prompt, salt);
  }

  /**
   * Brings what slow tiers have of a prompt that waits for its turn to a near one,
   * where there is one.
   */
  promote(prompt: ArrayLike<number>, salt = ""): void {
    this.#prompts.promote(prompt, salt);
  }

  /** Changes whenever `sharedBytes()` may. */
  get changes(): number {
    return this.#store.changes;
  }

  /** Bytes of the blocks that `open()` would find in use by others. */
  sharedBytes(prompt: ArrayLike<number>, salt: string): number {
    return this.#prompts.sharedBytes(prompt, salt);
  }

  /**
   * Takes and pins blocks for the work, all or none. Nothing a reader can see
   * changes before `commit()`. Each sequence has one reservation at a time.
   * `count`: how many of the work, default all. `restores`: its positions are to be
   * restored, as `restorable()` said they can.
   */
  reserve(
    work: readonly Work[],
    count: number = work.length,
    restores = false,
  ): Reservation | Shortfall {
    const r = this.#steps.reserve(work, count);
    if (r.ok) this.#steps.require(r, "reserve").restores = restores;
    return r;
  }

  /**
   * Which positions of a text that a sequence is to have can be restored from hidden
   * states: the next ones from where it ends, before `end`. Undefined where nobody
   * keeps any, or its blocks are read from tiers.
   */
  restorable(
    seq: SeqId,
    tokens: ArrayLike<number>,
    end: number,
  ): Restorable | undefined {
    const s = this.#get(seq);
    if (s.spilled) return undefined;
    return this.#checkpoints?.ahead(s, tokens, s.length, end);
  }

  /** Seconds to have the positions of a sequence again, once they are gone. */
  againSeconds(seq: SeqId): number {
    const s = this.#get(seq);
    return this.#againSeconds(s, s.tokens, 0, s.length);
  }

  #againSeconds(
    s: Sequence,
    tokens: ArrayLike<number>,
    from: number,
    end: number,
  ): number {
    const row = this.rowSeconds;
    return this.#checkpoints?.seconds(s, tokens, from, end, row) ??
      (end - from) * row;
  }

  /** Notes how long a step took that restored so many rows. */
  timedRestore(rows: number, seconds: number): void {
    const checkpoints = this.#checkpoints, row = seconds / rows;
    if (checkpoints === undefined) return;
    const old = checkpoints.rowSeconds ?? row;
    checkpoints.rowSeconds = old + (row - old) / 8;
  }

  /**
   * Brings what the step will read to the device. The only step that may wait.
   * Throws (or rejects with) `LostBlocks` where a tier has lost something.
   */
  load(r: Reservation): MaybePromise<void> {
    const { list, seqs } = this.#steps.require(r, "load");
    return land(list, seqs, this.#store);
  }

  /**
   * Moves what only this sequence uses to the tiers below, until `comeBack()`.
   * False where they have no room: close it then.
   */
  swapOut(seq: SeqId): boolean {
    const s = this.#free(seq, "swap");
    return this.plan.tiers.length > 0 && swapOut(s, this.#store);
  }

  /**
   * Takes places for what was moved away; the next `load()` brings it. False, and
   * nothing is taken, where there is no room.
   */
  comeBack(seq: SeqId): boolean {
    return comeBack(this.#free(seq, "bring back"), this.#store);
  }

  /**
   * Makes room for a sequence that has too little, by moving its oldest blocks to a
   * tier for as long as it lives: steps read them there. False where none can.
   */
  spill(seq: SeqId, bytes: number): boolean {
    const s = this.#free(seq, "spill");
    return this.#spill.possible && this.#spill.spill(s, bytes);
  }

  /** Whether blocks of a sequence are read from tiers while steps run. */
  isSpilled(seq: SeqId): boolean {
    return this.#get(seq).spilled;
  }

  /** Begins to bring what is away of a sequence; `load()` waits for it. */
  summon(seq: SeqId): void {
    summon(this.#get(seq), this.#store);
  }

  /** Whether bytes of a sequence are on their way, so that `load()` would wait. */
  isComing(seq: SeqId): boolean {
    return isComing(this.#get(seq), this.#store);
  }

  /** Resolves when the next of a sequence's blocks has come, or is lost. */
  arrival(seq: SeqId): Promise<unknown> | undefined {
    return arrival(this.#get(seq), this.#store);
  }

  /**
   * Seconds to move what only this sequence uses down and up again, by what moves
   * took so far; Infinity where no tier has room for it.
   */
  swapSeconds(seq: SeqId): number {
    const s = this.#get(seq);
    const bytes = ownBytes(s, this.#store);
    const { tiers } = this.#store;
    return this.plan.tiers.length > 0
      ? 2 * bytes * tiers.secondsPerByte()
      : Infinity;
  }

  /**
   * Writes the rows and tables of a reservation into `batch`, in the order of
   * its work; wanted rows are the caller's. `part`: only so many of the rows, where
   * a step has more than a batch. Throws a RangeError where the
   * batch is too small, and `LostBlocks` where what was to be restored is not there.
   */
  fill(r: Reservation, batch: StepBatch, part?: StepPart): void {
    const step = this.#steps.require(r, "fill");
    this.#steps.pin(step);
    const { list, seqs, rows } = step;
    const all = part ?? { from: 0, to: rows };
    fillBatch(list, seqs, all, this.plan, this.#store, this.#spill, batch);
    this.#checkpoints?.fill(list, seqs, step.restores, batch.hidden);
  }

  /**
   * After the step has run: seals and indexes full blocks, releases unseen ones.
   * `kept[i]`: how many positions of the i-th sequence of the work stay, from 1
   * on; the rest was a wrong guess and is taken back. Default: all.
   */
  commit(r: Reservation, kept?: ArrayLike<number>): void {
    const { list, seqs } = this.#steps.require(r, "commit");
    this.#checkpoints?.settle(list, seqs, kept);
    this.#steps.commit(r, kept);
  }

  /** Gives the blocks back; the sequences are as before. */
  cancel(r: Reservation): void {
    this.#steps.cancel(r);
  }

  /**
   * A second sequence with the first `length` positions of another, default all;
   * blocks are copied when written. A RangeError where `canFork()` says no.
   */
  fork(seq: SeqId, length?: number): SeqId {
    const s = this.#free(seq, "fork");
    const kept = length ?? s.length;
    if (!this.canFork(seq, kept)) {
      throw new RangeError(
        `Cannot fork sequence ${seq} at ${kept}: it has ${s.length} positions, or has released blocks that position ${kept} sees, or that is within a block that was sealed; open a new one, or fork it at forkLength()`,
      );
    }
    const made = this.#fresh(s.salt, s.priority);
    made.altered = s.altered;
    made.adapters = s.adapters;
    made.write(s.tokens, 0, kept, 0);
    made.length = kept;
    for (const [g, table] of made.tables.entries()) {
      table.share(s.tables[g]!, kept);
    }
    this.#forks++;
    this.emit({ type: "fork", seq: made.id, from: seq });
    return made.id;
  }

  /** Whether a sequence still has what a fork with `length` positions would see. */
  canFork(seq: SeqId, length: number): boolean {
    const s = this.#get(seq);
    return Number.isInteger(length) && length >= 0 && length <= s.length &&
      !s.spilled && !isAway(s, this.#store) &&
      s.tables.every((t) => t.sees(length) && !t.isFinalAt(length));
  }

  /** Most positions, up to `most`, that a fork of a sequence can begin with. */
  forkLength(seq: SeqId, most: number): number {
    const s = this.#get(seq);
    let length = Math.min(most, s.length);
    for (let g = 0; g < s.tables.length; g++) {
      if (!s.tables[g]!.isFinalAt(length)) continue;
      // To the start of that block, where another group may be within one.
      length -= length % this.plan.groups[g]!.shape.tokens;
      g = -1;
    }
    return this.canFork(seq, length) ? length : 0;
  }

  /**
   * Takes positions from `length` on back. A RangeError where that needs
   * blocks a window has released: start the sequence again, or give `slack`. So
   * within a block that was sealed: what was computed is not there any more.
   */
  trim(seq: SeqId, length: number): void {
    const s = this.#free(seq, "trim");
    if (isAway(s, this.#store)) {
      throw new TypeError(
        `Cannot trim sequence ${seq}: it was swapped out; bring it back first`,
      );
    }
    if (!Number.isInteger(length) || length < 0 || length > s.length) {
      throw new RangeError(
        `Cannot trim sequence ${seq} to ${length}: 0 to ${s.length} are possible`,
      );
    }
    for (const [g, table] of s.tables.entries()) {
      if (table.isFinalAt(length)) {
        const { codec, shape: { tokens } } = this.plan.groups[g]!;
        throw new RangeError(
          `Cannot trim sequence ${seq} from ${s.length} to ${length}: its block of ${tokens} positions in group ${g} was sealed by codec "${codec.id}", what was computed is gone; trim it to ${
            length - length % tokens
          }`,
        );
      }
      if (table.sees(length)) continue;
      throw new RangeError(
        `Cannot trim sequence ${seq} from ${s.length} to ${length}: group ${g} has released blocks that position ${length} sees; open the sequence again`,
      );
    }
    for (const table of s.tables) table.cut(length);
    s.length = length;
  }

  /**
   * Takes back what is lost, from position `at` on; false where what is left could
   * not go on: close it then.
   */
  cutLost(seq: SeqId, at: number): boolean {
    const s = this.#free(seq, "cut");
    const whole = (t: BlockTable): boolean =>
      t.sees(at) && !t.isFinalAt(at) && !t.isAwayAt(at);
    if (!s.tables.every(whole)) return false;
    for (const table of s.tables) table.cut(at);
    s.length = at;
    return true;
  }

  /** Ends a sequence; the tail of a chain is the first to become idle. */
  close(seq: SeqId): void {
    const s = this.#free(seq, "close");
    for (const table of s.tables) table.cut(0);
    this.#checkpoints?.forget(seq);
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

  /**
   * Most bytes one sequence of `length` takes at once, in steps of `chunk`: in
   * whole slabs, as it does alone, or in blocks, as it does beside others.
   */
  peakBytes(
    length: number,
    chunk: number,
    unit: "slabs" | "blocks" = "slabs",
  ): number {
    return peakBytes(
      this.plan.groups,
      this.#store.places,
      length,
      chunk,
      this.#slack,
      unit === "slabs",
    );
  }

  /**
   * Bytes that are missing for one sequence to grow to `length` alone; 0 where it
   * fits, be it that its oldest blocks have to stay in a tier.
   */
  missingBytes(length: number): number {
    const bytes = this.peakBytes(length, 1), spill = this.#spill;
    const missing = Math.max(0, bytes - this.budgetBytes);
    if (missing === 0 || !spill.possible) return missing;
    const { places, tiers } = this.#store;
    const left = spilledBytes(
      this.plan.groups,
      places,
      length,
      this.#slack,
      (g) => spill.reads(g),
    );
    if (left > this.budgetBytes) return left - this.budgetBytes;
    return Math.max(0, bytes - left - tiers.sliceCapacity);
  }

  /**
   * Most bytes that `copies` sequences of `length` take together, of which the
   * first `shared` positions are the same.
   */
  forkedBytes(length: number, shared: number, copies: number): number {
    const { groups } = this.plan, { places } = this.#store;
    return forkedBytes(groups, places, length, shared, copies);
  }

  /** Bytes of the next block of a sequence of `length` that may grow to `most`. */
  growthBytes(length: number, most: number): number {
    return growthBytes(this.plan.groups, this.#store.places, length, most);
  }

  /**
   * The blocks of a start of `tokens`, to be copied out of this cache or into it;
   * it holds none of them.
   */
  keptPrefix(tokens: ArrayLike<number>, options: KeptOptions = {}): KeptPrefix {
    return new KeptPrefix(
      this.plan,
      this.#store,
      this.#memory,
      this.#steps.chains,
      tokens,
      options,
    );
  }

  /** Gives up every idle block. */
  evictIdle(): void {
    while (this.#store.evict());
  }

  /** The bytes held, by group; those of blocks that wait to be sealed apart. */
  lines(): readonly LedgerLine[] {
    const { places, tiers } = this.#store;
    const out: LedgerLine[] = [];
    const line = (component: string, { held, peak }: Pool): void => {
      out.push({ tier: "device", owner: "kv", component, bytes: held, peak });
    };
    for (const [g, open] of places.open.entries()) {
      const sealed = places.sealed[g];
      line(`group ${g}`, sealed ?? open);
      if (sealed !== undefined) line(`group ${g} open`, open);
    }
    return [...out, ...tiers.lines(), ...this.#checkpoints?.lines() ?? []];
  }

  /** Tells every observer. */
  emit(event: CacheEvent): void {
    if (this.plan.observe.length > 0) this.#store.emit(event);
  }

  /**
   * The figures; allocates. Counting `unused` takes time: with `later` it is counted
   * when it is read, as it is then.
   */
  stat(later = false): CacheStat {
    const store = this.#store, plan = this.plan, seqs = this.#seqs;
    const prompts = this.#prompts;
    const unused = later ? 0 : unusedBytes(plan, store, seqs.values());
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
        used: store.places.quota.held,
        capacity: this.budgetBytes,
      }, ...store.tiers.stat()],
      sequences: this.#seqs.size,
      tokens,
      available: store.available,
      get unused(): number {
        return later ? unusedBytes(plan, store, seqs.values()) : unused;
      },
      references: store.references,
      hits: prompts.hits,
      misses: { ...prompts.misses },
      hitTokens: prompts.hitTokens,
      fetchedTokens: prompts.fetchedTokens,
      declined: prompts.declined,
      forks: this.#forks,
      copies: store.copies,
      evictions: store.evictions,
      moves: store.tiers.moves,
      restores: this.#checkpoints?.restored ?? 0,
    };
  }

  /** Recounts the books; throws on the first disagreement. */
  check(): void {
    checkCache(this.plan, this.#store, this.#seqs, this.#slack);
    this.#checkpoints?.check(this.#seqs);
  }

  #fresh(salt: string, priority: number): Sequence {
    const id = ++this.#ids as SeqId;
    const s = new Sequence(id, this.plan.groups, this.#store);
    s.salt = salt;
    s.priority = priority;
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
