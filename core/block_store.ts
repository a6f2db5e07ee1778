/**
 * The blocks: where each is, who uses it, and what it holds.
 *
 * ```text
 *           take             seal            release to 0 refs, with a key
 *  (none) ───────▶ open ───────────▶ sealed ───────────────────────▶ idle
 *                   │ ▲    unseal      │ ▲            retain           │
 *                   │ └────────────────┘ └─────────────────────────────┤
 *                   ▼ release to 0 refs, without a key           evict ▼
 *                 (none) ◀──────────────────────────────────────────(none)
 * ```
 *
 * Ids start at 1; 0 stands for no block.
 *
 * @module
 */
import type { DeviceMemory } from "./backend.ts";
import type { CachePlan } from "./plan.ts";
import { type Pool, pool } from "./pool.ts";
import { Quota } from "./quota.ts";
import type { CacheEvent } from "./slots.ts";
import type { BlockId } from "./types.ts";

/** Small blocks are taken from the heap by at most this many bytes. */
const SLAB_BYTES = 1 << 16;
/** A slab is at most this part of the budget: half-used slabs cost little. */
const SLAB_PART = 64;

/** The blocks of every group, in one device's memory. */
export class BlockStore {
  readonly quota: Quota;
  readonly pools: readonly Pool[];
  /** Slots in a slab, by group. */
  readonly slabs: readonly number[];
  readonly peaks: Float64Array;
  /** Parts of a block, by group; see SlabLayout. */
  readonly #parts: readonly number[];
  evictions = 0;
  copies = 0;
  /** Blocks, and bytes of idle ones. */
  live = 0;
  sealed = 0;
  idle = 0;
  idleBytes = 0;

  readonly #plan: CachePlan;
  readonly #memory: DeviceMemory;
  #offsets = new Float64Array(64);
  #refs = new Int32Array(64);
  #groups = new Int16Array(64);
  #sealed = new Uint8Array(64);
  readonly #keys: (string | undefined)[] = [undefined];
  readonly #spare: number[] = [];
  #ids = 1;

  /** `blockBytes`: of one block, by group. */
  constructor(
    plan: CachePlan,
    memory: DeviceMemory,
    budgetBytes: number,
    blockBytes: readonly number[],
  ) {
    this.#plan = plan;
    this.#memory = memory;
    this.quota = new Quota(memory, budgetBytes);
    const slab = Math.min(SLAB_BYTES, budgetBytes / SLAB_PART);
    const layouts = plan.groups.map((g) => g.slab);
    const slots = blockBytes.map((b, g) =>
      layouts[g] === undefined ? Math.ceil(b / memory.align) * memory.align : b
    );
    this.slabs = slots.map((b, g) =>
      layouts[g]?.blocks ?? Math.max(1, Math.floor(slab / b))
    );
    this.#parts = layouts.map((l) => l?.parts ?? 1);
    this.pools = slots.map((b, g) =>
      pool(this.quota, b, this.slabs[g]!, b / this.#parts[g]!)
    );
    this.peaks = new Float64Array(slots.length);
  }

  /** Bytes a taker could get now, were they all in the right place. */
  get available(): number {
    let bytes = this.quota.limit - this.quota.held + this.idleBytes;
    for (const p of this.pools) bytes += p.spare * p.slotBytes;
    return bytes;
  }

  /** Byte offset in the device's memory; 0 for block 0. */
  offset(id: number): number {
    return this.#offsets[id]!;
  }

  refs(id: number): number {
    return this.#refs[id]!;
  }

  group(id: number): number {
    return this.#groups[id]!;
  }

  isSealed(id: number): boolean {
    return this.#sealed[id] === 1;
  }

  key(id: number): string | undefined {
    return this.#keys[id];
  }

  /** Ids ever used are below this. */
  get end(): number {
    return this.#ids;
  }

  /** An open block with one user; idle blocks make room. 0: there is none. */
  take(group: number): number {
    const p = this.pools[group]!;
    let offset = p.take();
    while (offset < 0) {
      if (!this.evict()) return 0;
      offset = p.take();
    }
    if (p.held > this.peaks[group]!) this.peaks[group] = p.held;
    const id = this.#spare.pop() ?? this.#fresh();
    this.#offsets[id] = offset;
    this.#refs[id] = 1;
    this.#groups[id] = group;
    this.#sealed[id] = 0;
    this.live++;
    return id;
  }

  /** One more user. */
  retain(id: number): void {
    if (this.#refs[id]!++ > 0) return;
    this.idle--;
    this.idleBytes -= this.pools[this.#groups[id]!]!.slotBytes;
    this.#plan.evict.forget(id as BlockId);
  }

  /** One user less; the last one leaves it idle or frees it. */
  release(id: number): void {
    if (--this.#refs[id]! > 0) return;
    if (this.#keys[id] === undefined) {
      this.#free(id);
      return;
    }
    this.idle++;
    this.idleBytes += this.pools[this.#groups[id]!]!.slotBytes;
    this.#plan.evict.touch(id as BlockId);
  }

  /** The block is full. With a key that the index lacks, it can be found by it. */
  seal(id: number, key: string | undefined): void {
    if (this.#sealed[id] === 0) this.sealed++;
    this.#sealed[id] = 1;
    const { index } = this.#plan;
    if (
      key !== undefined && this.#keys[id] === undefined &&
      this.find(key, this.#groups[id]!) === 0
    ) {
      this.#keys[id] = key;
      index?.set(key, id as BlockId);
    }
    if (this.#plan.observe.length > 0) {
      this.emit({ type: "seal", block: id as BlockId });
    }
  }

  /** The block will be written again; nobody may find its content any more. */
  unseal(id: number): void {
    if (this.#sealed[id] === 0) return;
    this.#sealed[id] = 0;
    this.sealed--;
    this.#forgetKey(id);
  }

  /** The block with a key, 0 for none. An index that is wrong is a miss. */
  find(key: string, group: number): number {
    const id = this.#plan.index?.get(key);
    if (id === undefined || this.#keys[id] !== key) return 0;
    return this.#groups[id] === group ? id : 0;
  }

  /** A copy of a block's bytes in a new block, 0 where there is no room. */
  copy(id: number): number {
    const group = this.#groups[id]!;
    const made = this.take(group);
    if (made === 0) return 0;
    const parts = this.#parts[group]!;
    const bytes = this.pools[group]!.slotBytes / parts;
    const gap = parts === 1 ? 0 : bytes * this.slabs[group]!;
    for (let i = 0; i < parts; i++) {
      this.#memory.copy(
        { offset: this.#offsets[id]! + i * gap, bytes },
        { offset: this.#offsets[made]! + i * gap, bytes },
      );
    }
    this.copies++;
    if (this.#plan.observe.length > 0) {
      this.emit({ type: "copy", block: made as BlockId });
    }
    return made;
  }

  /** Frees the idle block that is cheapest to lose; false when there is none. */
  evict(): boolean {
    if (this.idle === 0) return false;
    for (const id of this.#plan.evict.victims()) {
      if (this.#refs[id] !== 0 || this.#keys[id] === undefined) continue;
      this.idle--;
      this.idleBytes -= this.pools[this.#groups[id]!]!.slotBytes;
      this.evictions++;
      this.#plan.evict.forget(id);
      this.#forgetKey(id);
      if (this.#plan.observe.length > 0) {
        this.emit({ type: "evict", block: id });
      }
      this.#free(id);
      return true;
    }
    return false;
  }

  /** Tells every observer; what they throw is theirs. */
  emit(event: CacheEvent): void {
    for (const o of this.#plan.observe) {
      try {
        o.event(event);
      } catch (e) {
        // deno-lint-ignore no-console -- a watcher has nobody else to tell
        console.error("An observer of the cache failed:", e);
      }
    }
  }

  #free(id: number): void {
    if (this.#sealed[id] === 1) this.sealed--;
    this.#sealed[id] = 0;
    this.live--;
    this.pools[this.#groups[id]!]!.give(this.#offsets[id]!);
    this.#offsets[id] = 0;
    this.#spare.push(id);
    if (this.#plan.observe.length > 0) {
      this.emit({ type: "release", block: id as BlockId });
    }
  }

  #forgetKey(id: number): void {
    const key = this.#keys[id];
    if (key === undefined) return;
    this.#keys[id] = undefined;
    if (this.#plan.index?.get(key) === id) this.#plan.index.delete(key);
  }

  #fresh(): number {
    const id = this.#ids++;
    this.#keys.push(undefined);
    if (id < this.#refs.length) return id;
    const length = id * 2;
    const old = [this.#offsets, this.#refs, this.#groups, this.#sealed];
    this.#offsets = new Float64Array(length);
    this.#refs = new Int32Array(length);
    this.#groups = new Int16Array(length);
    this.#sealed = new Uint8Array(length);
    this.#offsets.set(old[0]!);
    this.#refs.set(old[1]!);
    this.#groups.set(old[2]!);
    this.#sealed.set(old[3]!);
    return id;
  }
}
