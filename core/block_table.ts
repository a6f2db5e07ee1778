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
  /** Blocks from `kept` to `cursor` are released. */
  #kept = 0x7fffffff;
  #cursor = 0;

  constructor(group: GroupPlan, store: BlockStore) {
    this.#group = group;
    this.#store = store;
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

  /** Releases the blocks of a reservation. */
  drop(): void {
    while (this.pending > 0) {
      this.pending--;
      this.#release(this.count + this.pending);
    }
  }

  /** Releases what the query at `length`, and so any later one, cannot see. */
  slide(length: number): void {
    const { sight, shape } = this.#group;
    if (sight.full) return;
    const start = sight.start(length);
    if (start === 0) return;
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
    const end = Math.min(this.count, Math.ceil(length / shape.tokens));
    for (let b = 0; b < end; b++) {
      if ((b < kept || b >= from) && this.ids[b] === 0) return false;
    }
    return true;
  }

  /** Releases blocks from the tail until those of `length` positions are left. */
  cut(length: number): void {
    const { tokens } = this.#group.shape;
    const count = Math.ceil(length / tokens);
    while (this.count > count) this.#release(--this.count);
    this.#cursor = Math.min(this.#cursor, count);
    if (this.hashed > Math.floor(length / tokens)) this.hashed = 0;
  }

  /** Becomes a second user of everything `other` has. */
  share(other: BlockTable): void {
    if (this.ids.length < other.count) {
      this.ids = new Int32Array(other.ids.length);
    }
    for (let b = 0; b < other.count; b++) {
      const id = other.ids[b]!;
      this.ids[b] = id;
      if (id !== 0) this.#store.retain(id);
    }
    this.count = other.count;
    this.hashed = other.hashed;
    this.digest.set(other.digest);
    this.#kept = other.#kept;
    this.#cursor = other.#cursor;
  }

  #release(b: number): void {
    const id = this.ids[b]!;
    this.ids[b] = 0;
    if (id !== 0) this.#store.release(id);
  }
}
