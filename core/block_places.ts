/**
 * Where the bytes of blocks are: an open place, a sealed one, or for a time both.
 *
 * ```text
 *            the step that fills it          commit
 *  open ───────────────────────────▶ both ──────────▶ sealed
 *    ▲                                 │
 *    └─────────────────────────────────┘ cancel, wrong guesses
 * ```
 * Groups whose backend seals nothing have open places only. All places are in one
 * heap. Where that has room, but not in one run, blocks are moved together.
 *
 * @module
 */
import type { Span } from "./allocator.ts";
import type { DeviceMemory } from "./backend.ts";
import type { GroupPlan } from "./plan.ts";
import { type Pool, pool, type PoolSlab } from "./pool.ts";
import { Quota } from "./quota.ts";

/** Small blocks are taken from the heap by at most this many bytes. */
const SLAB_BYTES = 1 << 16;
/** A slab is at most this part of the budget: half-used slabs cost little. */
const SLAB_PART = 64;
/** Blocks moved at a time to empty a slab: a step takes little longer for it. */
const DRAINED = 4;
/** Moving goes on until there is room for this many slabs, to be of use for long. */
const AHEAD = 16;

/** Places by block id. Ids and groups are the caller's to keep. */
export class BlockPlaces {
  readonly quota: Quota;
  /** Open places, by group. */
  readonly open: readonly Pool[];
  /** Sealed ones; undefined where blocks stay open. */
  readonly sealed: readonly (Pool | undefined)[];
  /** Open places in a slab, by group. */
  readonly slabs: readonly number[];
  /** How many steps were told where blocks are: until they are over, none moves. */
  pins = 0;
  /** Slabs and blocks moved to make room. */
  moves = 0;
  readonly #memory: DeviceMemory;
  /** Parts of an open block, by group; see SlabLayout. */
  readonly #parts: readonly number[];
  #openAt = new Float64Array(64);
  #sealedAt = new Float64Array(64);
  /** Bytes given back since moving did not help. */
  #given = Infinity;

  /** `blockBytes`: of one open block, by group. */
  constructor(
    groups: readonly GroupPlan[],
    memory: DeviceMemory,
    budgetBytes: number,
    blockBytes: readonly number[],
  ) {
    const { align } = memory;
    this.#memory = memory;
    this.quota = new Quota(memory, budgetBytes);
    const most = Math.min(SLAB_BYTES, budgetBytes / SLAB_PART);
    const slots = blockBytes.map((b, g) =>
      groups[g]!.slab === undefined ? Math.ceil(b / align) * align : b
    );
    // Open blocks of a sealed group are few and short-lived: no slab waits for more.
    this.slabs = slots.map((b, g) =>
      groups[g]!.fused !== undefined
        ? 1
        : groups[g]!.slab?.blocks ?? Math.max(1, Math.floor(most / b))
    );
    this.#parts = groups.map((g) => g.slab?.parts ?? 1);
    this.open = slots.map((b, g) =>
      pool(this.quota, b, this.slabs[g]!, b / this.#parts[g]!)
    );
    this.sealed = groups.map((g) =>
      g.fused === undefined
        ? undefined
        : pool(this.quota, Math.ceil(g.sealedBytes / align) * align, 1)
    );
  }

  /** Every pool there is. */
  *pools(): Iterable<Pool> {
    yield* this.open;
    for (const p of this.sealed) if (p !== undefined) yield p;
  }

  /** Bytes that are not in use, wherever they are. */
  get free(): number {
    let bytes = this.quota.limit - this.quota.held;
    for (let g = 0; g < this.open.length; g++) {
      const open = this.open[g]!, sealed = this.sealed[g];
      bytes += open.spare * open.slotBytes;
      if (sealed !== undefined) bytes += sealed.spare * sealed.slotBytes;
    }
    return bytes;
  }

  /** Makes room for ids below `length`. */
  grow(length: number): void {
    if (length <= this.#openAt.length) return;
    const open = new Float64Array(length), sealed = new Float64Array(length);
    open.set(this.#openAt);
    sealed.set(this.#sealedAt);
    this.#openAt = open;
    this.#sealedAt = sealed;
  }

  /** Byte offset of the open place; 0: none. */
  openAt(id: number): number {
    return this.#openAt[id]!;
  }

  /** Byte offset of the sealed place; 0: none. */
  sealedAt(id: number): number {
    return this.#sealedAt[id]!;
  }

  /** Takes an open place; false where there is no room. */
  takeOpen(id: number, group: number): boolean {
    const p = this.open[group]!;
    const offset = this.#take(p, p.slotBytes * this.slabs[group]!);
    if (offset >= 0) this.#openAt[id] = offset;
    return offset >= 0;
  }

  /** Takes a sealed place, in a group that has such; false where there is no room. */
  takeSealed(id: number, group: number): boolean {
    const p = this.sealed[group]!;
    const offset = this.#take(p, p.slotBytes);
    if (offset >= 0) this.#sealedAt[id] = offset;
    return offset >= 0;
  }

  /** Gives the open place back, where there is one. */
  giveOpen(id: number, group: number): void {
    if (this.#openAt[id] === 0) return;
    const p = this.open[group]!;
    p.give(this.#openAt[id]!);
    this.#openAt[id] = 0;
    this.#given += p.slotBytes;
  }

  /** Gives the sealed place back, where there is one. */
  giveSealed(id: number, group: number): void {
    if (this.#sealedAt[id] === 0) return;
    const p = this.sealed[group]!;
    p.give(this.#sealedAt[id]!);
    this.#sealedAt[id] = 0;
    this.#given += p.slotBytes;
  }

  /** Where the parts of the open place are. */
  *openSpans(id: number, group: number): Iterable<Span> {
    const parts = this.#parts[group]!;
    const bytes = this.open[group]!.slotBytes / parts;
    const gap = parts === 1 ? 0 : bytes * this.slabs[group]!;
    for (let i = 0; i < parts; i++) {
      yield { offset: this.#openAt[id]! + i * gap, bytes };
    }
  }

  /** The sealed place. */
  sealedSpan(id: number, group: number): Span {
    const bytes = this.sealed[group]!.slotBytes;
    return { offset: this.#sealedAt[id]!, bytes };
  }

  /**
   * Moves a few blocks from the slab that has fewest into free places of others, so
   * that what ended leaves whole slabs and not holes in all of them. To be called
   * between steps; does nothing where one knows where blocks are.
   */
  drain(): void {
    if (this.pins > 0) return;
    for (let g = 0; g < this.open.length; g++) {
      const slots = this.slabs[g]!;
      if (slots === 1 || this.open[g]!.spare < slots) continue;
      const { held } = this.open[g]!;
      this.open[g]!.drain(DRAINED, (from, to) => {
        const id = this.#openAt.indexOf(from);
        const old = [...this.openSpans(id, g)];
        this.#openAt[id] = to;
        let part = 0;
        for (const span of this.openSpans(id, g)) {
          this.#memory.copy(old[part++]!, span);
        }
        this.moves++;
      });
      if (this.open[g]!.held < held) this.#given = Infinity;
    }
  }

  #take(p: Pool, slabBytes: number): number {
    let offset = p.take();
    // What others left in many slabs may be whole slabs for this pool.
    for (let moves = -1; offset < 0 && moves !== this.moves;) {
      moves = this.moves;
      this.drain();
      offset = p.take();
    }
    return offset < 0 && this.#gather(slabBytes) ? p.take() : offset;
  }

  /**
   * Moves slabs together until `bytes` are free in one run; false where that cannot
   * be, or where a step knows where blocks are.
   */
  #gather(bytes: number): boolean {
    const memory = this.#memory, { limit, held } = this.quota;
    if (this.pins > 0 || memory.slide === undefined) return false;
    if (limit - held < bytes || this.#given < bytes) return false;
    const { capacity, used } = memory.stat();
    const room = Math.min(limit - held, capacity - used);
    if (room < bytes) return false;
    const all: { readonly of: Pool; readonly slab: PoolSlab }[] = [];
    for (const of of this.pools()) {
      for (const slab of of.slabs) all.push({ of, slab });
    }
    all.sort((a, b) => a.slab.span.offset - b.slab.span.offset);
    const now = new Map<number, number>();
    const moved = (from: number, to: number): void => void now.set(from, to);
    const wanted = Math.min(room, bytes * AHEAD);
    for (const { of, slab } of all) {
      if (memory.stat().largestFree >= wanted) break;
      const before = slab.span.offset;
      of.slideSlab(slab, moved);
      if (slab.span.offset !== before) this.moves++;
    }
    for (const at of [this.#openAt, this.#sealedAt]) {
      for (let id = 1; id < at.length; id++) {
        if (at[id] !== 0) at[id] = now.get(at[id]!) ?? at[id]!;
      }
    }
    const helped = memory.stat().largestFree >= bytes;
    // Strangers in between stay where they are: only more room can help then.
    this.#given = helped ? Infinity : 0;
    return helped;
  }
}
