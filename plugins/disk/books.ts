/**
 * Who has which slot: no I/O, only the books of it.
 *
 * ```text
 *  keyed     key → block, least recently used first    may be taken away
 *  segments  file → slots → block                      the same and those put by id
 * ```
 * Room is found in this order: a free slot of the size, a new one while the quota
 * allows, the free ends of segments of other sizes, the least recently used.
 *
 * @module
 */
import { type Block, block, recordOf, type Segment } from "./block.ts";
import { type LogRecord, RECORD } from "./log.ts";
import { Segments, type Trim } from "./segments.ts";
import { PAGE, slotPages } from "./slot.ts";

/** Bytes that a log may have, and its copy, of a quota. */
export function logRoom(quota: number): number {
  return Math.min(Math.max(Math.floor(quota / 64), 1 << 14), 1 << 25);
}

/** The slots of a folder, and the blocks found by key. */
export class Books {
  /** Least recently used first. */
  readonly keyed: Map<string, Block> = new Map();
  readonly #segments: Segments;
  readonly #quota: number;
  /** What the log has to be told, in this order. */
  records: LogRecord[] = [];
  /** Blocks that made room for others. */
  evicted = 0;

  /** Books of an empty folder. `quota` in bytes, of all files together. */
  constructor(quota: number) {
    this.#quota = quota;
    this.#segments = new Segments(
      quota - 2 * logRoom(quota) - PAGE,
      Math.min(Math.max(quota / 16, 1 << 22), 2 ** 30),
    );
  }

  /** Of all segments on disk. */
  get bytes(): number {
    return this.#segments.bytes;
  }

  /** Of the blocks found by key, without what slots take besides. */
  get keyedBytes(): number {
    return this.#segments.keyedBytes;
  }

  /** What is to be done to files before anything is written. */
  get trims(): Trim[] {
    return this.#segments.trims;
  }

  set trims(trims: Trim[]) {
    this.#segments.trims = trims;
  }

  /** Whether the log has become too long for what it says. */
  longLog(bytes: number): boolean {
    return bytes > logRoom(this.#quota) ||
      bytes > RECORD * (2 * this.keyed.size + 1024);
  }

  /** Takes over what there is on disk; what no record names is free. */
  adopt(files: readonly { readonly name: string; readonly bytes: number }[]) {
    for (const file of files) this.#segments.adopt(file);
  }

  /**
   * Does what a record says. `open`: segments that nobody knows are taken for
   * being there, for those who do not write.
   */
  apply({ key, place }: LogRecord, open: boolean = false): void {
    const old = this.keyed.get(key);
    if (old !== undefined) this.#leave(old);
    if (place === undefined) return;
    const { pages, slot, length } = place;
    if (slotPages(length) !== pages || length === 0) return;
    const segment = this.#segments.named(place.segment, pages, slot, open);
    if (segment === undefined) return;
    const there = segment.slots[slot];
    if (there !== undefined) this.#leave(there);
    const fields = { key, print: "", length, keyed: true, bytes: undefined };
    const found = { ...block(fields), stored: true };
    this.#segments.seat(found, segment, slot);
    this.keyed.set(key, found);
  }

  /** Gives back what nobody uses, and more where the quota has become less. */
  settle(): void {
    this.#segments.trim();
    while (this.#segments.over && this.#evict()) this.#segments.trim();
  }

  /** Finds a slot for a block; false where there is none. */
  take(wanted: Block): boolean {
    if (!this.#segments.fits(wanted.length)) return false;
    const pages = slotPages(wanted.length);
    while (!this.#segments.seatAnywhere(wanted)) {
      if (!this.#segments.trim(pages) && !this.#evict()) return false;
    }
    return true;
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
  abandon(segment: Segment): void {
    const blocks = segment.slots.filter((at) => at !== undefined);
    if (!this.#segments.remove(segment)) return;
    for (const at of blocks) this.drop(at);
  }

  /** Its slot may be used for others. */
  free(dropped: Block): void {
    this.#segments.free(dropped);
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
    this.#segments.check();
    for (const [key, at] of this.keyed) {
      const { stored, bytes, gone } = at;
      const placed = this.#segments.has(at);
      if (at.key === key && !gone && (stored ? placed : bytes)) continue;
      throw new Error(`Disk check: the block of key "${key}" has no place`);
    }
  }

  /** Takes a block out that a later record has replaced. */
  #leave(old: Block): void {
    if (this.keyed.get(old.key) === old) this.keyed.delete(old.key);
    this.free(old);
    old.gone = true;
  }
}
