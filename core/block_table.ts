/**
 * Which blocks a sequence has in one group.
 *
 * ```text
 *  index      0      1      2     …            count        count + pending
 *  ids     | sink | 0    | 0    | id | id | id | promised to a step |
 *                   └ released ┘
 *          0    kept      cursor
 * ```
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { GroupPlan } from "./plan.ts";

/** A growable row of block ids; 0 marks a released one. */
export class BlockTable {
  ids = new Int32Array(8);
  /** Blocks of committed positions. */
  count = 0;
  /** Blocks behind them that a reservation holds. */
  pending = 0;
  /** The block a copy replaced during the reserve() that runs now, or 0. */
  replaced = 0;
  /** The digest after `hashed` blocks (see KeyChain). */
  hashed = 0;
  readonly digest = new Uint8Array(32);

  readonly #group: GroupPlan;
  readonly #store: BlockStore;
  /** Blocks below `first`, and from `kept` to `cursor`, are released. */
  #first = 0;
  #kept = 0x7fffffff;
  #cursor = 0;

  constructor(group: GroupPlan, store: BlockStore) {
    this.#group = group;
    this.#store = store;
  }

  /** Positions in a block. */
  get blockTokens(): number {
    return this.#group.shape.tokens;
  }

  /** Adds a block at the end. */
  push(id: number): void {
    const at = this.count + this.pending;
    if (at === this.ids.length) {
      const ids = new Int32Array(at * 2);
      ids.set(this.ids);
      this.ids = ids;
    }
    this.ids[at] = id;
    this.pending++;
  }

  /** Ends a reservation: what `length` positions need stays, the rest is released. */
  keep(length: number): void {
    const count = Math.ceil(length / this.#group.shape.tokens);
    while (this.count + this.pending > count) {
      this.pending--;
      this.#release(this.count + this.pending);
    }
    this.count += this.pending;
    this.pending = 0;
    if (length % this.#group.shape.tokens !== 0) this.#unpromise();
  }

  /** Releases the blocks of a reservation. */
  drop(): void {
    while (this.pending > 0) {
      this.pending--;
      this.#release(this.count + this.pending);
    }
    this.#unpromise();
  }

  /** Whether it ends at `length` within a block that nobody can write on. */
  isFinalAt(length: number): boolean {
    const { tokens } = this.#group.shape;
    return length % tokens !== 0 &&
      this.#store.isFinal(this.ids[Math.floor(length / tokens)]!);
  }

  /** Whether it ends at `length` within a block that is not on the device. */
  isAwayAt(length: number): boolean {
    const { tokens } = this.#group.shape, at = length % tokens;
    return at > 0 && this.#store.isAway(this.ids[(length - at) / tokens]!);
  }

  /** Releases what the query at `length`, and so any later one, cannot see. */
  slide(length: number): void {
    const { sight, shape } = this.#group;
    if (sight.full) return;
    const start = sight.start(length);
    if (start === 0) return;
    const first = Math.floor(sight.first(length) / shape.tokens);
    for (; this.#first < first; this.#first++) this.#release(this.#first);
    const kept = Math.ceil(sight.sink(length) / shape.tokens);
    const end = Math.min(Math.floor(start / shape.tokens), this.count);
    if (kept < this.#kept) {
      const old = Math.min(this.#kept, this.#cursor);
      for (let b = kept; b < old; b++) this.#release(b);
      this.#kept = kept;
    }
    for (let b = Math.max(this.#cursor, this.#kept); b < end; b++) {
      this.#release(b);
    }
    this.#cursor = Math.max(this.#cursor, end);
  }

  /** Whether the query at `length` finds every block that it can see. */
  sees(length: number): boolean {
    const { sight, shape } = this.#group;
    if (sight.full) return true;
    const from = Math.floor(sight.start(length) / shape.tokens);
    const kept = Math.ceil(sight.sink(length) / shape.tokens);
    const first = Math.floor(sight.first(length) / shape.tokens);
    const end = Math.min(this.count, Math.ceil(length / shape.tokens));
    for (let b = 0; b < end; b++) {
      const wanted = b >= from || (b >= first && b < kept);
      if (wanted && this.ids[b] === 0) return false;
    }
    return true;
  }

  /** Releases blocks from the tail until those of `length` positions are left. */
  cut(length: number): void {
    const { tokens } = this.#group.shape;
    const count = Math.ceil(length / tokens);
    while (this.count > count) this.#release(--this.count);
    this.#cursor = Math.min(this.#cursor, count);
    this.#first = Math.min(this.#first, count);
    // Sinks that were out of sight are seen again at this length.
    this.#kept = 0x7fffffff;
    if (this.hashed > Math.floor(length / tokens)) this.hashed = 0;
  }

  /** Becomes a second user of what `other` has up to `length`, which it sees. */
  share(other: BlockTable, length: number): void {
    const count = Math.ceil(length / this.#group.shape.tokens);
    if (this.ids.length < count) this.ids = new Int32Array(other.ids.length);
    for (let b = 0; b < count; b++) {
      const id = other.ids[b]!;
      this.ids[b] = id;
      if (id !== 0) this.#store.retain(id);
    }
    this.count = count;
    this.#first = Math.min(other.#first, count);
    this.#cursor = Math.min(other.#cursor, count);
    if (other.hashed > Math.floor(length / this.#group.shape.tokens)) return;
    this.hashed = other.hashed;
    this.digest.set(other.digest);
  }

  /** The block at the end is not filled after all. */
  #unpromise(): void {
    if (this.count > 0) this.#store.unpromise(this.ids[this.count - 1]!);
  }

  #release(b: number): void {
    const id = this.ids[b]!;
    this.ids[b] = 0;
    if (id !== 0) this.#store.release(id);
  }
}
