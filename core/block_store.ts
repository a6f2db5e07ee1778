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
 * A block with one user may be *away*: its bytes are in a tier, and it has no
 * place on the device, or one that its bytes have not come back to yet. It has no
 * key meanwhile.
 *
 * Ids start at 1; 0 stands for no block.
 *
 * @module
 */
import type { Span } from "./allocator.ts";
import type { DeviceMemory } from "./backend.ts";
import type { CachePlan } from "./plan.ts";
import { type Pool, pool } from "./pool.ts";
import { Quota } from "./quota.ts";
import { Tiers } from "./tiers.ts";
import type { BlockContent, CacheEvent } from "./slots.ts";
import type { BlockId } from "./types.ts";

/** Small blocks are taken from the heap by at most this many bytes. */
const SLAB_BYTES = 1 << 16;
/** A slab is at most this part of the budget: half-used slabs cost little. */
const SLAB_PART = 64;

/** The blocks of every group, in one device's memory. */
export class BlockStore {
  readonly quota: Quota;
  readonly tiers: Tiers;
  readonly pools: readonly Pool[];
  /** Slots in a slab, by group. */
  readonly slabs: readonly number[];
  readonly peaks: Float64Array;
  /** Parts of a block, by group; see SlabLayout. */
  readonly #parts: readonly number[];
  evictions = 0;
  copies = 0;
  /** Uses by tables. */
  references = 0;
  /** Counts whatever changes which blocks are found, and which of them are used. */
  changes = 0;
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
  #away = new Uint8Array(64);
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
    this.tiers = new Tiers(plan.tiers, memory);
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

  /** Whether its bytes are not on the device. */
  isAway(id: number): boolean {
    return this.#away[id] === 1;
  }

  /** Bytes of a block. */
  blockBytes(id: number): number {
    return this.pools[this.#groups[id]!]!.slotBytes;
  }

  /** Where the parts of a block are. */
  *spans(id: number): Iterable<Span> {
    const group = this.#groups[id]!, parts = this.#parts[group]!;
    const bytes = this.blockBytes(id) / parts;
    const gap = parts === 1 ? 0 : bytes * this.slabs[group]!;
    for (let i = 0; i < parts; i++) {
      yield { offset: this.#offsets[id]! + i * gap, bytes };
    }
  }

  /** Gives up the place of a block with one user, whose bytes are in a tier. */
  leave(id: number): void {
    this.#forgetKey(id);
    this.#away[id] = 1;
    this.pools[this.#groups[id]!]!.give(this.#offsets[id]!);
    this.#offsets[id] = 0;
  }

  /** Takes a place for a block that is away; false where there is none. */
  comeBack(id: number): boolean {
    const offset = this.#place(this.#groups[id]!);
    if (offset < 0) return false;
    this.#offsets[id] = offset;
    return true;
  }

  /** The bytes of a block have come to its place. */
  landed(id: number): void {
    this.#away[id] = 0;
  }

  /** A free slot; idle blocks make room. -1: there is none. */
  #place(group: number): number {
    const p = this.pools[group]!;
    let offset = p.take();
    while (offset < 0) {
      if (!this.evict()) return -1;
      offset = p.take();
    }
    if (p.held > this.peaks[group]!) this.peaks[group] = p.held;
    return offset;
  }

  /** An open block with one user; idle blocks make room. 0: there is none. */
  take(group: number): number {
    const offset = this.#place(group);
    if (offset < 0) return 0;
    const id = this.#spare.pop() ?? this.#fresh();
    this.#offsets[id] = offset;
    this.#refs[id] = 1;
    this.references++;
    this.#groups[id] = group;
    this.#sealed[id] = 0;
    this.live++;
    return id;
  }

  /** One more user. */
  retain(id: number): void {
    this.references++;
    if (this.#refs[id]!++ > 0) return;
    this.changes++;
    this.idle--;
    this.idleBytes -= this.pools[this.#groups[id]!]!.slotBytes;
    this.#plan.evict.forget(id as BlockId);
  }

  /** One user less; the last one leaves it idle or frees it. */
  release(id: number): void {
    this.references--;
    if (--this.#refs[id]! > 0) return;
    this.changes++;
    if (this.#keys[id] === undefined) {
      this.#free(id);
      return;
    }
    this.idle++;
    this.idleBytes += this.pools[this.#groups[id]!]!.slotBytes;
    const { evict } = this.#plan;
    evict.touch(id as BlockId);
    while (this.idleBytes > (evict.mostBytes ?? Infinity) && this.evict());
  }

  /** The block is full. With a key that the index lacks, it can be found by it. */
  seal(id: number, key?: string, content?: BlockContent): void {
    if (this.#sealed[id] === 0) this.sealed++;
    this.#sealed[id] = 1;
    const { index } = this.#plan;
    if (
      key !== undefined && content !== undefined &&
      this.#keys[id] === undefined && this.find(key, this.#groups[id]!) === 0
    ) {
      index?.set(key, id as BlockId, content);
      this.changes++;
      this.#keys[id] = key;
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
    const to = [...this.spans(made)];
    let part = 0;
    for (const from of this.spans(id)) this.#memory.copy(from, to[part++]!);
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
    if (this.#offsets[id] !== 0) {
      this.pools[this.#groups[id]!]!.give(this.#offsets[id]!);
    }
    this.#offsets[id] = 0;
    if (this.#away[id] === 1) this.tiers.drop(id);
    this.#away[id] = 0;
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
    const away = this.#away;
    this.#offsets = new Float64Array(length);
    this.#refs = new Int32Array(length);
    this.#groups = new Int16Array(length);
    this.#sealed = new Uint8Array(length);
    this.#offsets.set(old[0]!);
    this.#refs.set(old[1]!);
    this.#groups.set(old[2]!);
    this.#sealed.set(old[3]!);
    this.#away = new Uint8Array(length);
    this.#away.set(away);
    return id;
  }
}
