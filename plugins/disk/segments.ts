/**
 * The files of slots: which there are, how long, and what is in each slot.
 *
 * ```text
 *  bytes = Σ over segments of a page + slots ever used × bytes of a slot ≤ limit
 * ```
 *
 * @module
 */
import type { Block, Segment } from "./block.ts";
import { PAGE, parseSegmentName, segmentName, slotPages } from "./slot.ts";

/** More slots than any segment has; what says so is not true. */
const MOST_SLOTS = 1 << 20;

/** A file that ends earlier, or is not there any more: 0. */
export interface Trim {
  readonly segment: string;
  readonly bytes: number;
}

/** All segments of a folder. */
export class Segments {
  readonly #all = new Map<number, Segment>();
  readonly #limit: number;
  readonly #each: number;
  #next = 0;
  #bytes = 0;
  #keyedBytes = 0;
  /** What is to be done to files before anything is written. */
  trims: Trim[] = [];

  /** `limit`: bytes of all together; `each`: of one, if no block is larger. */
  constructor(limit: number, each: number) {
    this.#limit = limit;
    this.#each = each;
  }

  /** Of all files. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Of the blocks in them that are found by key. */
  get keyedBytes(): number {
    return this.#keyedBytes;
  }

  /** Whether there is more than there may be. */
  get over(): boolean {
    return this.#bytes > this.#limit;
  }

  /** Whether a block could be kept if there were nothing else. */
  fits(length: number): boolean {
    return PAGE * (slotPages(length) + 1) <= this.#limit;
  }

  /** Takes over a file; one of another name is not looked at. */
  adopt({ name, bytes }: { readonly name: string; readonly bytes: number }) {
    const parsed = parseSegmentName(name);
    if (parsed === undefined) return;
    const size = PAGE * parsed.pages;
    const used = Math.ceil(Math.max(0, bytes - PAGE) / size);
    const slots = Array(Math.min(used, MOST_SLOTS)).fill(undefined);
    this.#add({ name, ...parsed, slots, taken: 0 });
    this.#bytes += slots.length * size;
  }

  /**
   * The segment a record speaks of; undefined where there is no such slot. `open`:
   * what nobody knows is taken for being there, for those who do not write.
   */
  named(
    number: number,
    pages: number,
    slot: number,
    open: boolean,
  ): Segment | undefined {
    let segment = this.#all.get(number);
    if (segment === undefined && open) {
      const name = segmentName(number, pages);
      segment = { name, number, pages, slots: [], taken: 0 };
      this.#all.set(number, segment);
    }
    const most = open ? MOST_SLOTS : segment?.slots.length ?? 0;
    return segment?.pages === pages && slot < most ? segment : undefined;
  }

  /** Puts a block into a free slot, or into a new one; false: there is none. */
  seatAnywhere(wanted: Block): boolean {
    const pages = slotPages(wanted.length);
    const segment = this.#free(pages) ?? this.#grown(pages);
    if (segment === undefined) return false;
    this.seat(wanted, segment, segment.slots.indexOf(undefined));
    return true;
  }

  /** Puts a block into a slot that is free. */
  seat(wanted: Block, segment: Segment, slot: number): void {
    wanted.segment = segment;
    wanted.slot = slot;
    segment.slots[slot] = wanted;
    segment.taken++;
    if (wanted.keyed) this.#keyedBytes += wanted.length;
  }

  /** Its slot may be used for others; nothing happens where it has none. */
  free(old: Block): void {
    const { segment, slot, keyed, length } = old;
    if (segment?.slots[slot] === old) {
      segment.slots[slot] = undefined;
      segment.taken--;
      if (keyed) this.#keyedBytes -= length;
    }
    old.segment = undefined;
    old.stored = false;
  }

  #free(pages: number): Segment | undefined {
    for (const segment of this.#all.values()) {
      const { slots, taken } = segment;
      if (segment.pages === pages && taken < slots.length) return segment;
    }
    return undefined;
  }

  /** A segment with one slot more, where the limit allows. */
  #grown(pages: number): Segment | undefined {
    const bytes = pages * PAGE;
    const most = Math.max(1, Math.floor((this.#each - PAGE) / bytes));
    if (this.#bytes + bytes > this.#limit) return undefined;
    let segment = [...this.#all.values()].find((s) =>
      s.pages === pages && s.slots.length < most
    );
    if (segment === undefined) {
      if (this.#bytes + bytes + PAGE > this.#limit) return undefined;
      const number = this.#next, name = segmentName(number, pages);
      segment = { name, number, pages, slots: [], taken: 0 };
      this.#add(segment);
    }
    segment.slots.push(undefined);
    this.#bytes += bytes;
    return segment;
  }

  #add(segment: Segment): void {
    this.#all.set(segment.number, segment);
    this.#next = Math.max(this.#next, segment.number + 1);
    this.#bytes += PAGE;
  }

  /** Cuts free ends off, of other sizes than this; whether there were any. */
  trim(pages?: number): boolean {
    const before = this.#bytes;
    for (const segment of this.#all.values()) {
      const { slots, name } = segment;
      if (segment.pages === pages) continue;
      let used = slots.length;
      while (used > 0 && slots[used - 1] === undefined) used--;
      if (used === slots.length && used > 0) continue;
      if (used === 0) this.remove(segment);
      else {
        this.#bytes -= (slots.length - used) * segment.pages * PAGE;
        slots.length = used;
        const bytes = PAGE * (1 + used * segment.pages);
        this.trims.push({ segment: name, bytes });
      }
    }
    return this.#bytes < before;
  }

  /** Takes a file away, whatever is in it; false where it is not there any more. */
  remove(segment: Segment): boolean {
    const { number, name, pages, slots } = segment;
    if (this.#all.get(number) !== segment) return false;
    for (const at of slots) {
      if (at?.keyed) this.#keyedBytes -= at.length;
    }
    this.#all.delete(number);
    this.#bytes -= PAGE * (1 + pages * slots.length);
    this.trims.push({ segment: name, bytes: 0 });
    slots.length = segment.taken = 0;
    return true;
  }

  /** Whether a block is where it says. */
  has(block: Block): boolean {
    const { segment, slot } = block;
    return segment !== undefined && segment.slots[slot] === block &&
      this.#all.get(segment.number) === segment;
  }

  /** Recounts; throws where something does not add up. */
  check(): void {
    let bytes = 0, keyedBytes = 0;
    for (const { name, pages, slots, taken } of this.#all.values()) {
      bytes += PAGE * (1 + pages * slots.length);
      const there = slots.filter((at) => at !== undefined);
      for (const at of there) {
        if (at.keyed) keyedBytes += at.length;
        if (slots[at.slot] === at && slotPages(at.length) === pages) continue;
        throw new Error(
          `Disk check: "${name}" has a block of another's, slot ${at.slot}`,
        );
      }
      if (there.length === taken) continue;
      throw new Error(
        `Disk check: "${name}" has ${there.length} blocks, not ${taken}`,
      );
    }
    if (keyedBytes !== this.#keyedBytes) {
      throw new Error(
        `Disk check: ${this.#keyedBytes} bytes by key, recounted ${keyedBytes}`,
      );
    }
    if (bytes === this.#bytes && !this.over) return;
    throw new Error(
      `Disk check: ${this.#bytes} bytes in segments, recounted ${bytes}, at most ${this.#limit}`,
    );
  }
}
