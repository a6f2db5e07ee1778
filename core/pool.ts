/**
 * Slots of one size, taken from a heap a slab at a time.
 *
 * ```text
 *  slab    | slot 0 | slot 1 | … | slot n-1 |     one span of the heap
 * ```
 *
 * Slots come from slabs in use before a new one is taken, and a slab goes back
 * to the heap with its last slot, so at the moment a slab is taken there are
 * never more slabs than the slots in use need.
 *
 * @module
 */
import type { Allocator, AllocStat, Span } from "./allocator.ts";

/** A slab, for those who move it. */
export interface PoolSlab {
  /** Where it is. */
  readonly span: Span;
}

interface Slab extends PoolSlab {
  span: Span;
  /** Free slots, the last is taken next. */
  readonly free: Int32Array;
  frees: number;
  /** Neighbours in the list of slabs with free slots. */
  previous: Slab | undefined;
  next: Slab | undefined;
}

/** A pool also deals in bare offsets, so that a block costs no object. */
export interface Pool extends Allocator {
  readonly slotBytes: number;
  /** Bytes the pool holds of its heap. */
  readonly held: number;
  /** Most bytes it ever held. */
  readonly peak: number;
  /** Slots that can be taken without asking the heap. */
  readonly spare: number;
  /** Takes a slot: its offset, or -1 when the heap has no room. */
  take(): number;
  /** Gives a slot back. Throws a TypeError on one that is not taken. */
  give(offset: number): void;
  /** Its slabs, in the order of nothing. */
  readonly slabs: Iterable<PoolSlab>;
  /**
   * Moves a slab down into the free space right before it; `moved` is told of every
   * slot in use.
   */
  slideSlab(slab: PoolSlab, moved: (from: number, to: number) => void): void;
  /**
   * Empties the slab with the fewest slots in use into others, where these have room
   * for all of them, so that it goes back to the heap: by up to `most` slots, each of
   * which `move` brings to where it is from now on. Returns how many.
   */
  drain(most: number, move: (from: number, to: number) => void): number;
}

/**
 * Makes a pool of slots of `slotBytes`, `slab` of them at a time from `heap`. Slots
 * that are cut into parts (see SlabLayout) begin `step` bytes apart.
 */
export function pool(
  heap: Allocator,
  slotBytes: number,
  slab: number,
  step = slotBytes,
): Pool {
  return new SlabPool(heap, slotBytes, slab, step);
}

class SlabPool implements Pool {
  readonly slotBytes: number;
  readonly #heap: Allocator;
  readonly #slab: number;
  readonly #step: number;
  /** Slot taken: its slab. */
  readonly #taken = new Map<number, Slab>();
  readonly #slabs = new Set<Slab>();
  #open: Slab | undefined; // first of the slabs with free slots
  #peak = 0;

  constructor(
    heap: Allocator,
    slotBytes: number,
    slab: number,
    step: number,
  ) {
    if (!Number.isSafeInteger(slotBytes) || slotBytes < 1) {
      throw new RangeError(
        `Cannot make a pool of slots of ${slotBytes} bytes: a whole number above 0 is wanted`,
      );
    }
    if (!Number.isInteger(slab) || slab < 1) {
      throw new RangeError(
        `Cannot make a pool with ${slab} slots in a slab: a whole number above 0 is wanted`,
      );
    }
    this.#heap = heap;
    this.slotBytes = slotBytes;
    this.#slab = slab;
    this.#step = step;
  }

  get held(): number {
    return this.#slabs.size * this.#slab * this.slotBytes;
  }

  get peak(): number {
    return this.#peak;
  }

  get slabs(): Iterable<PoolSlab> {
    return this.#slabs;
  }

  get spare(): number {
    return this.#slabs.size * this.#slab - this.#taken.size;
  }

  take(): number {
    let slab = this.#open;
    if (slab === undefined) {
      slab = this.#grow();
      if (slab === undefined) return -1;
    }
    const slot = slab.free[--slab.frees]!;
    if (slab.frees === 0) this.#unlink(slab);
    const offset = slab.span.offset + slot * this.#step;
    this.#taken.set(offset, slab);
    return offset;
  }

  give(offset: number): void {
    const slab = this.#taken.get(offset);
    if (slab === undefined) {
      throw new TypeError(
        `Cannot free the slot at ${offset}: the pool did not hand it out, or it is free already`,
      );
    }
    this.#taken.delete(offset);
    slab.free[slab.frees++] = (offset - slab.span.offset) / this.#step;
    if (slab.frees === 1) this.#link(slab);
    if (slab.frees === this.#slab) {
      this.#unlink(slab);
      this.#slabs.delete(slab);
      this.#heap.free(slab.span);
    }
  }

  slideSlab(slab: PoolSlab, moved: (from: number, to: number) => void): void {
    const mine = slab as Slab;
    const from = mine.span.offset;
    const to = this.#heap.slide?.(mine.span) ?? mine.span;
    if (to.offset === from) return;
    mine.span = to;
    // Ascending: no slot comes to where one stands that was not moved yet.
    for (let slot = 0; slot < this.#slab; slot++) {
      const old = from + slot * this.#step, now = to.offset + slot * this.#step;
      if (this.#taken.get(old) !== mine) continue;
      this.#taken.delete(old);
      this.#taken.set(now, mine);
      moved(old, now);
    }
  }

  drain(most: number, move: (from: number, to: number) => void): number {
    if (this.spare < this.#slab) return 0;
    let sparse = this.#open!;
    for (let s: Slab | undefined = sparse; s !== undefined; s = s.next) {
      if (s.frees > sparse.frees) sparse = s;
    }
    // Slots come from the others now.
    this.#unlink(sparse);
    let moves = 0;
    for (let slot = 0; slot < this.#slab && moves < most; slot++) {
      const from = sparse.span.offset + slot * this.#step;
      if (this.#taken.get(from) !== sparse) continue;
      move(from, this.take());
      this.give(from);
      moves++;
    }
    if (this.#slabs.has(sparse)) this.#linkLast(sparse);
    return moves;
  }

  alloc(bytes: number): Span | undefined {
    if (!(bytes > 0 && bytes <= this.slotBytes)) {
      throw new RangeError(
        `Cannot allocate ${bytes} bytes from a pool: 1 to ${this.slotBytes} are possible`,
      );
    }
    const offset = this.take();
    if (offset < 0) return undefined;
    return { offset, bytes };
  }

  free(span: Span): void {
    if (!(span.bytes > 0 && span.bytes <= this.slotBytes)) {
      throw new TypeError(
        `Cannot free ${span.bytes} bytes at ${span.offset}: the pool did not hand them out`,
      );
    }
    this.give(span.offset);
  }

  stat(): AllocStat {
    const used = this.#taken.size * this.slotBytes;
    const below = this.#heap.stat().largestFree >= this.#slab * this.slotBytes;
    return {
      capacity: this.held,
      used,
      requested: used,
      largestFree: this.spare > 0 || below ? this.slotBytes : 0,
    };
  }

  check(): void {
    let open = 0;
    let previous: Slab | undefined;
    for (let s = this.#open; s !== undefined; s = s.next) {
      if (s.previous !== previous || s.frees === 0 || !this.#slabs.has(s)) {
        throw new Error(`Pool check: slab at ${s.span.offset} is misplaced`);
      }
      previous = s;
      open++;
    }
    let frees = 0;
    let withFrees = 0;
    for (const slab of this.#slabs) {
      frees += slab.frees;
      if (slab.frees > 0) withFrees++;
      if (slab.frees === this.#slab) {
        throw new Error(`Pool check: slab at ${slab.span.offset} is empty`);
      }
      for (let i = 0; i < slab.frees; i++) {
        const offset = slab.span.offset + slab.free[i]! * this.#step;
        if (this.#taken.has(offset)) {
          throw new Error(`Pool check: slot at ${offset} is free and taken`);
        }
      }
    }
    const taken = this.#slabs.size * this.#slab - frees;
    if (taken !== this.#taken.size || open !== withFrees) {
      throw new Error(
        `Pool check: ${this.#taken.size} slots taken and ${open} slabs open, recounted ${taken} and ${withFrees}`,
      );
    }
  }

  #grow(): Slab | undefined {
    const span = this.#heap.alloc(this.#slab * this.slotBytes);
    if (span === undefined) return undefined;
    const free = new Int32Array(this.#slab);
    for (let i = 0; i < this.#slab; i++) free[i] = this.#slab - 1 - i;
    const slab: Slab = {
      span,
      free,
      frees: this.#slab,
      previous: undefined,
      next: undefined,
    };
    this.#slabs.add(slab);
    this.#peak = Math.max(this.#peak, this.held);
    this.#link(slab);
    return slab;
  }

  #link(slab: Slab): void {
    slab.previous = undefined;
    slab.next = this.#open;
    if (this.#open) this.#open.previous = slab;
    this.#open = slab;
  }

  /** To the end: slots come from it when no other has any. */
  #linkLast(slab: Slab): void {
    let last = this.#open;
    while (last?.next !== undefined) last = last.next;
    if (last === undefined) this.#open = slab;
    else last.next = slab;
    slab.previous = last;
  }

  #unlink(slab: Slab): void {
    if (slab.previous) slab.previous.next = slab.next;
    else if (this.#open === slab) this.#open = slab.next;
    if (slab.next) slab.next.previous = slab.previous;
    slab.previous = undefined;
    slab.next = undefined;
  }
}
