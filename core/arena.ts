/**
 * Scratch space for a step: taken in order, given back all at once.
 *
 * @module
 */
import type { Allocator, AllocStat, Span } from "./allocator.ts";

/** An allocator that is a stack. */
export interface Arena extends Allocator {
  /** Most bytes that were ever used. */
  readonly peak: number;
  /** Where the arena stands; what comes later goes at `reset(mark)`. */
  mark(): number;
  /** Frees what was taken after `mark` (default: everything). */
  reset(mark?: number): void;
}

/**
 * Makes an arena over offsets 0 to `capacity`; spans start at multiples of
 * `align`. A span freed out of order is given back when those above it are.
 */
export function arena(capacity: number, align: number): Arena {
  return new StackArena(capacity, align);
}

class StackArena implements Arena {
  readonly #capacity: number;
  readonly #align: number;
  // Spans in the order they were taken: offset, and bytes asked for (negative
  // once freed while something above them is not).
  #offsets = new Float64Array(32);
  #bytes = new Float64Array(32);
  #count = 0;
  #top = 0;
  #requested = 0;
  #peak = 0;

  constructor(capacity: number, align: number) {
    if (!Number.isInteger(align) || align < 1) {
      throw new RangeError(
        `Cannot make an arena with alignment ${align}: a whole number above 0 is wanted`,
      );
    }
    this.#align = align;
    this.#capacity = Math.floor(capacity / align) * align;
  }

  get peak(): number {
    return this.#peak;
  }

  alloc(bytes: number): Span | undefined {
    if (!(bytes > 0) || !Number.isSafeInteger(bytes)) {
      throw new RangeError(
        `Cannot allocate ${bytes} bytes: a whole number above 0 is wanted`,
      );
    }
    const offset = this.#top;
    const end = offset + this.#rounded(bytes);
    if (end > this.#capacity) return undefined;
    if (this.#count === this.#offsets.length) this.#enlarge();
    this.#offsets[this.#count] = offset;
    this.#bytes[this.#count++] = bytes;
    this.#requested += bytes;
    this.#top = end;
    this.#peak = Math.max(this.#peak, end);
    return { offset, bytes };
  }

  free(span: Span): void {
    const at = this.#search(span.offset);
    if (
      at === this.#count || this.#offsets[at] !== span.offset ||
      this.#bytes[at] !== span.bytes
    ) {
      throw new TypeError(
        `Cannot free ${span.bytes} bytes at ${span.offset}: the arena did not hand them out, or they are free already`,
      );
    }
    this.#requested -= span.bytes;
    this.#bytes[at] = -span.bytes;
    while (this.#count > 0 && this.#bytes[this.#count - 1]! < 0) {
      this.#top = this.#offsets[--this.#count]!;
    }
  }

  mark(): number {
    return this.#top;
  }

  reset(mark = 0): void {
    if (!(mark >= 0 && mark <= this.#top)) {
      throw new RangeError(
        `Cannot reset the arena to ${mark}: it stands at ${this.#top}`,
      );
    }
    while (this.#count > 0 && this.#offsets[this.#count - 1]! >= mark) {
      this.#requested -= Math.max(0, this.#bytes[--this.#count]!);
      this.#top = this.#offsets[this.#count]!;
    }
    while (this.#count > 0 && this.#bytes[this.#count - 1]! < 0) {
      this.#top = this.#offsets[--this.#count]!;
    }
  }

  stat(): AllocStat {
    return {
      capacity: this.#capacity,
      used: this.#top,
      requested: this.#requested,
      largestFree: this.#capacity - this.#top,
    };
  }

  check(): void {
    let at = 0;
    let requested = 0;
    for (let i = 0; i < this.#count; i++) {
      if (this.#offsets[i] !== at) {
        throw new Error(
          `Arena check: span ${i} starts at ${
            this.#offsets[i]
          }, recounted ${at}`,
        );
      }
      at += this.#rounded(Math.abs(this.#bytes[i]!));
      requested += Math.max(0, this.#bytes[i]!);
    }
    if (at !== this.#top || requested !== this.#requested) {
      throw new Error(
        `Arena check: ${this.#top} bytes used and ${this.#requested} requested, recounted ${at} and ${requested}`,
      );
    }
  }

  #rounded(bytes: number): number {
    return Math.ceil(bytes / this.#align) * this.#align;
  }

  /** The first span at or above `offset`. */
  #search(offset: number): number {
    let low = 0;
    let high = this.#count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#offsets[middle]! < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  #enlarge(): void {
    const offsets = new Float64Array(this.#count * 2);
    const bytes = new Float64Array(this.#count * 2);
    offsets.set(this.#offsets);
    bytes.set(this.#bytes);
    this.#offsets = offsets;
    this.#bytes = bytes;
  }
}
