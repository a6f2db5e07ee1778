/**
 * Who has which slot: no I/O, only the books of it.
 *
 * ```text
 *  keyed  key → block, least recently used first     may be taken away
 *  segments  number → slots → block                  the same and those put by id
 *
 *  bytes = Σ over segments of a page + slots ever used × bytes of a slot
 *        ≤ quota − what the log and its copy may take
 * ```
 * Room is found in this order: a free slot of the size, a new one while the quota
 * allows, the free ends of segments of other sizes, the least recently used.
 *
 * @module
 */
import type { LogRecord } from "./log.ts";
import { RECORD } from "./log.ts";
import { PAGE, parseSegmentName, segmentName, slotPages } from "./slot.ts";

/** More than any segment has; what says so is not true. */
const MOST_SLOTS = 1 << 20;

/** Slots of one size in one file. */
export interface Segment {
  readonly name: string;
  readonly number: number;
  /** Of a slot. */
  readonly pages: number;
  /** What is in each slot that was ever used; its length counts for the quota. */
  readonly slots: (Block | undefined)[];
  /** How many of them have a block. */
  taken: number;
}

/** A block, on disk or on its way. */
export interface Block {
  /** 64 hexadecimal digits. */
  readonly key: string;
  /** Of the plan; the same form. */
  readonly print: string;
  readonly length: number;
  /** Whether it is found by its key, in later processes too. */
  readonly keyed: boolean;
  /** Its bytes, until they are on disk. */
  bytes: Uint8Array | undefined;
  /** Its place; from when it is written on. */
  segment: Segment | undefined;
  slot: number;
  /** Whether it is on disk, whole as far as is known. */
  stored: boolean;
  /** Nobody will ask for it any more. */
  gone: boolean;
}

/** Makes a block that is nowhere yet. */
export function block(
  fields: Pick<Block, "key" | "print" | "length" | "keyed" | "bytes">,
): Block {
  return {
    ...fields,
    segment: undefined,
    slot: -1,
    stored: false,
    gone: false,
  };
}

/** Bytes that a log may have, and its copy, of a quota. */
export function logRoom(quota: number): number {
  return Math.min(Math.max(quota >> 6, 1 << 14), 1 << 25);
}

/** A file that ends earlier, or is not there any more: 0. */
export interface Trim {
  readonly segment: string;
  readonly bytes: number;
}

/** The slots of a folder, and the blocks found by key. */
export class Books {
  readonly keyed: Map<string, Block> = new Map();
  readonly segments: Map<number, Segment> = new Map();
  readonly #quota: number;
  readonly #segmentBytes: number;
  readonly #limit: number;
  #next = 0;
  #bytes = 0;
  /** What the log has to be told, in this order. */
  records: LogRecord[] = [];
  /** What is to be done to files before anything is written. */
  trims: Trim[] = [];
  /** Blocks that made room for others. */
  evicted = 0;
  /** Of the blocks found by key that have a slot, without what slots take besides. */
  keyedBytes = 0;

  /** Books of an empty folder. `quota` in bytes, of all files together. */
  constructor(quota: number) {
    this.#quota = quota;
    this.#limit = quota - 2 * logRoom(quota) - PAGE;
    this.#segmentBytes = Math.min(Math.max(quota / 16, 1 << 22), 2 ** 30);
  }

  /** Of all segments on disk. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Whether the log has become too long for what it says. */
  longLog(bytes: number): boolean {
    return bytes > logRoom(this.#quota) ||
      bytes > RECORD * (2 * this.keyed.size + 1024);
  }

  /** Takes over what there is on disk; what no record names is free. */
  adopt(files: readonly { readonly name: string; readonly bytes: number }[]) {
    for (const { name, bytes } of files) {
      const parsed = parseSegmentName(name);
      if (parsed === undefined) continue;
      const slots = Math.min(
        Math.ceil(Math.max(0, bytes - PAGE) / (PAGE * parsed.pages)),
        MOST_SLOTS,
      );
      this.#add({
        name,
        ...parsed,
        slots: Array(slots).fill(undefined),
        taken: 0,
      });
      this.#bytes += slots * PAGE * parsed.pages;
    }
  }

  /**
   * Does what a record says. `open`: segments that nobody knows are taken for
   * being there, for those who do not write.
   */
  apply({ key, place }: LogRecord, open: boolean = false): void {
    const old = this.keyed.get(key);
    if (old !== undefined) this.#leave(old);
    if (place === undefined) return;
    const { number, pages, slot, length } = { ...place, number: place.segment };
    if (slotPages(length) !== pages || length === 0) return;
    let segment = this.segments.get(number);
    if (segment === undefined && open) {
      const name = segmentName(number, pages);
      segment = { name, number, pages, slots: [], taken: 0 };
      this.segments.set(number, segment);
    }
    if (segment === undefined || segment.pages !== pages) return;
    if (slot >= (open ? MOST_SLOTS : segment.slots.length)) return;
    const there = segment.slots[slot];
    if (there !== undefined) this.#leave(there);
    const found = block({
      key,
      print: "",
      length,
      keyed: true,
      bytes: undefined,
    });
    found.stored = true;
    this.#seat(found, segment, slot);
    this.keyed.set(key, found);
  }

  /** Gives back what nobody uses, and more where the quota has become less. */
  settle(): void {
    this.#trim(undefined);
    while (this.#bytes > this.#limit && this.#evict()) this.#trim(undefined);
  }

  /** Finds a slot for a block; false where there is none. */
  take(wanted: Block): boolean {
    const pages = slotPages(wanted.length);
    const most = Math.max(
      1,
      Math.floor((this.#segmentBytes - PAGE) / (PAGE * pages)),
    );
    if (PAGE * (pages + 1) > this.#limit) return false;
    for (;;) {
      const segment = this.#free(pages) ?? this.#grown(pages, most);
      if (segment !== undefined) {
        this.#seat(wanted, segment, segment.slots.indexOf(undefined));
        return true;
      }
      if (!this.#trim(pages) && !this.#evict()) return false;
    }
  }

  #seat(block: Block, segment: Segment, slot: number): void {
    block.segment = segment;
    block.slot = slot;
    segment.slots[slot] = block;
    segment.taken++;
    if (block.keyed) this.keyedBytes += block.length;
  }

  /** A segment with a free slot of this size. */
  #free(pages: number): Segment | undefined {
    for (const segment of this.segments.values()) {
      const { slots, taken } = segment;
      if (segment.pages === pages && taken < slots.length) return segment;
    }
    return undefined;
  }

  /** The same after making one, where the quota allows. */
  #grown(pages: number, most: number): Segment | undefined {
    const bytes = pages * PAGE;
    if (this.#bytes + bytes > this.#limit) return undefined;
    let segment = [...this.segments.values()].find((s) =>
      s.pages === pages && s.slots.length < most
    );
    if (segment === undefined) {
      if (this.#bytes + bytes + PAGE > this.#limit) return undefined;
      const number = this.#next;
      const name = segmentName(number, pages);
      segment = { name, number, pages, slots: [], taken: 0 };
      this.#add(segment);
    }
    segment.slots.push(undefined);
    this.#bytes += bytes;
    return segment;
  }

  #add(segment: Segment): void {
    this.segments.set(segment.number, segment);
    this.#next = Math.max(this.#next, segment.number + 1);
    this.#bytes += PAGE;
  }

  /** Cuts free ends off, of other sizes than this; whether there were any. */
  #trim(pages: number | undefined): boolean {
    const before = this.#bytes;
    for (const segment of this.segments.values()) {
      if (segment.pages === pages) continue;
      const { slots } = segment;
      let used = slots.length;
      while (used > 0 && slots[used - 1] === undefined) used--;
      if (used === slots.length && used > 0) continue;
      this.#bytes -= (slots.length - used) * segment.pages * PAGE;
      slots.length = used;
      if (used === 0) {
        this.#bytes -= PAGE;
        this.segments.delete(segment.number);
      }
      this.trims.push({
        segment: segment.name,
        bytes: used === 0 ? 0 : PAGE * (1 + used * segment.pages),
      });
    }
    return this.#bytes < before;
  }

  #evict(): boolean {
    for (const victim of this.keyed.values()) {
      if (!victim.stored) continue;
      this.drop(victim);
      this.evicted++;
      return true;
    }
    return false;
  }

  /** The block was asked for. */
  use(used: Block): void {
    if (!used.keyed || this.keyed.get(used.key) !== used) return;
    this.keyed.delete(used.key);
    this.keyed.set(used.key, used);
  }

  /** Forgets a block. One that is being written keeps its slot until `free()`. */
  drop(dropped: Block): void {
    if (dropped.gone) return;
    const { key, keyed, stored } = dropped;
    if (keyed && stored) this.records.push({ key, place: undefined });
    dropped.gone = true;
    dropped.bytes = undefined;
    if (keyed && this.keyed.get(key) === dropped) this.keyed.delete(key);
    if (stored) this.free(dropped);
  }

  /** Forgets all blocks of a segment, and its file. */
  abandon({ number, name, pages, slots }: Segment): void {
    if (this.segments.get(number)?.slots !== slots) return;
    for (const at of slots) if (at !== undefined) this.drop(at);
    this.segments.delete(number);
    this.#bytes -= PAGE * (1 + pages * slots.length);
    this.trims.push({ segment: name, bytes: 0 });
  }

  /** Its slot may be used for others. */
  free(dropped: Block): void {
    const { segment, slot } = dropped;
    if (segment?.slots[slot] === dropped) {
      segment.slots[slot] = undefined;
      segment.taken--;
      if (dropped.keyed) this.keyedBytes -= dropped.length;
    }
    dropped.segment = undefined;
    dropped.stored = false;
  }

  /** The block is on disk. */
  written(done: Block): void {
    done.bytes = undefined;
    done.stored = true;
    if (done.gone) this.free(done);
  }

  /** What a new log has to say, in the order of use. */
  snapshot(): LogRecord[] {
    return [...this.keyed.values()].filter((b) => b.stored).map(recordOf);
  }

  /** Recounts; throws where something does not add up. */
  check(): void {
    let bytes = 0, keyedBytes = 0;
    for (const { name, pages, slots, taken } of this.segments.values()) {
      bytes += PAGE * (1 + pages * slots.length);
      const there = slots.filter((at) => at !== undefined).length;
      if (there !== taken) {
        throw new Error(
          `Disk check: "${name}" has ${there} blocks, not ${taken}`,
        );
      }
      slots.forEach((at, i) => {
        if (at === undefined) return;
        if (at.keyed) keyedBytes += at.length;
        if (at.slot === i && slotPages(at.length) === pages) return;
        throw new Error(
          `Disk check: slot ${i} of "${name}" has another's block`,
        );
      });
    }
    for (const [key, at] of this.keyed) {
      const { segment, slot, stored, bytes, gone } = at;
      const placed = segment !== undefined && segment.slots[slot] === at &&
        this.segments.get(segment.number) === segment;
      if (at.key !== key || gone || stored !== placed && bytes === undefined) {
        throw new Error(`Disk check: the block of key "${key}" has no place`);
      }
    }
    if (keyedBytes !== this.keyedBytes) {
      throw new Error(
        `Disk check: ${this.keyedBytes} bytes by key, recounted ${keyedBytes}`,
      );
    }
    if (bytes !== this.#bytes || bytes > this.#limit) {
      throw new Error(
        `Disk check: ${this.#bytes} bytes in segments, recounted ${bytes}, at most ${this.#limit}`,
      );
    }
  }

  /** Takes a block out that a later record has replaced. */
  #leave(old: Block): void {
    if (this.keyed.get(old.key) === old) this.keyed.delete(old.key);
    this.free(old);
    old.gone = true;
  }
}

/** The record that names a stored block. */
export function recordOf({ key, segment, slot, length }: Block): LogRecord {
  const { number, pages } = segment!;
  return { key, place: { segment: number, pages, slot, length } };
}
