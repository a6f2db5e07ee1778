/**
 * The general allocator over one byte space.
 *
 * Two-level segregated fit: free spans stand in lists by size class, two
 * bitmaps find the first class that surely fits, and neighbours join when they
 * are freed, so taking and giving back cost the same however many spans there
 * are. Method: Masmano, Ripoll, Crespo, Real, "TLSF: a new dynamic memory
 * allocator for real-time systems", ECRTS 2004.
 *
 * Books are kept outside the space, which may belong to a GPU. Sizes count in
 * units of the alignment; `size_classes.ts` has the lists.
 *
 * @module
 */
import type { Allocator, AllocStat, Span } from "./allocator.ts";
import { expectEqual, larger, NONE, SizeClasses } from "./size_classes.ts";

/** Settings of a heap. */
export interface HeapOptions {
  /** Bytes at the start that are never handed out. Default: `align`. */
  readonly base?: number;
}

/** A general allocator whose space can become larger. */
export interface Heap extends Allocator {
  readonly align: number;
  /** Moves a span in the books; its bytes are the caller's to move. */
  slide(span: Span): Span;
  /** Makes the space end at `capacity` bytes. A RangeError when that is less than now. */
  grow(capacity: number): void;
}

/**
 * Makes a heap over offsets `base` to `capacity`. Spans start and end at
 * multiples of `align` (a power of two), offset 0 is never handed out.
 */
export function heap(
  capacity: number,
  align: number,
  options: HeapOptions = {},
): Heap {
  return new SegregatedHeap(capacity, align, options.base ?? align);
}

class SegregatedHeap implements Heap {
  readonly align: number;
  readonly #base: number; // units
  #end: number; // units
  #used = 0; // units
  #requested = 0; // bytes
  readonly #free = new SizeClasses();
  /** Taken spans: byte offset to record. */
  readonly #taken = new Map<number, number>();
  #last = NONE; // record at the end of the space

  // Records of spans, taken and free, in the order of nothing.
  #records = 0;
  #spare = NONE; // records not in use, linked by #after
  #offset = new Int32Array(64); // units
  #size = new Int32Array(64); // units
  #bytes = new Float64Array(64); // asked for; -1 when free
  #before = new Int32Array(64); // neighbour in space
  #after = new Int32Array(64);

  constructor(capacity: number, align: number, base: number) {
    if (!Number.isInteger(align) || align < 1 || !isPower(align)) {
      throw new RangeError(
        `Cannot make a heap with alignment ${align}: a power of two is wanted`,
      );
    }
    this.align = align;
    this.#base = Math.max(1, Math.ceil(base / align));
    this.#end = this.#base;
    this.grow(capacity);
  }

  grow(capacity: number): void {
    const end = Math.floor(capacity / this.align);
    if (!(capacity >= 0) || end > 0x7fffffff || end < this.#end) {
      if (end < this.#base && this.#end === this.#base && capacity >= 0) return;
      throw new RangeError(
        `Cannot set the heap's capacity to ${capacity} bytes: ${
          this.#end * this.align
        } to ${0x7fffffff * this.align} are possible`,
      );
    }
    const more = end - this.#end;
    if (more === 0) return;
    const last = this.#last;
    if (last !== NONE && this.#bytes[last]! < 0) {
      this.#free.remove(last);
      this.#size[last]! += more;
      this.#free.add(last, this.#size[last]!);
    } else {
      const id = this.#record(this.#end, more, last, NONE);
      if (last !== NONE) this.#after[last] = id;
      this.#last = id;
      this.#free.add(id, this.#size[id]!);
    }
    this.#end = end;
  }

  alloc(bytes: number): Span | undefined {
    if (!(bytes > 0) || !Number.isSafeInteger(bytes)) {
      throw new RangeError(
        `Cannot allocate ${bytes} bytes: a whole number above 0 is wanted`,
      );
    }
    const units = Math.ceil(bytes / this.align);
    if (units > this.#end - this.#base) return undefined;
    const id = this.#free.find(units);
    if (id === NONE) return undefined;
    this.#free.remove(id);
    const rest = this.#size[id]! - units;
    if (rest > 0) {
      const after = this.#after[id]!;
      const tail = this.#record(this.#offset[id]! + units, rest, id, after);
      if (after === NONE) this.#last = tail;
      else this.#before[after] = tail;
      this.#after[id] = tail;
      this.#size[id] = units;
      this.#free.add(tail, this.#size[tail]!);
    }
    this.#bytes[id] = bytes;
    this.#used += units;
    this.#requested += bytes;
    const offset = this.#offset[id]! * this.align;
    this.#taken.set(offset, id);
    return { offset, bytes };
  }

  free(span: Span): void {
    let id = this.#find(span, "free");
    this.#taken.delete(span.offset);
    this.#used -= this.#size[id]!;
    this.#requested -= span.bytes;
    this.#bytes[id] = -1;
    const after = this.#after[id]!;
    if (after !== NONE && this.#bytes[after]! < 0) {
      this.#free.remove(after);
      this.#join(id, after);
    }
    const before = this.#before[id]!;
    if (before !== NONE && this.#bytes[before]! < 0) {
      this.#free.remove(before);
      this.#join(before, id);
      id = before;
    }
    this.#free.add(id, this.#size[id]!);
  }

  slide(span: Span): Span {
    const id = this.#find(span, "slide");
    const free = this.#before[id]!;
    if (free === NONE || this.#bytes[free]! >= 0) return span;
    // The two change places: free, id -> id, free.
    const first = this.#before[free]!, after = this.#after[id]!;
    this.#free.remove(free);
    this.#taken.delete(span.offset);
    this.#offset[id] = this.#offset[free]!;
    this.#offset[free]! += this.#size[id]!;
    this.#before[id] = first;
    if (first !== NONE) this.#after[first] = id;
    this.#after[id] = free;
    this.#before[free] = id;
    this.#after[free] = after;
    if (after === NONE) this.#last = free;
    else this.#before[after] = free;
    if (after !== NONE && this.#bytes[after]! < 0) {
      this.#free.remove(after);
      this.#join(free, after);
    }
    this.#free.add(free, this.#size[free]!);
    const offset = this.#offset[id]! * this.align;
    this.#taken.set(offset, id);
    return { offset, bytes: span.bytes };
  }

  stat(): AllocStat {
    return {
      capacity: (this.#end - this.#base) * this.align,
      used: this.#used * this.align,
      requested: this.#requested,
      largestFree: this.#free.largest() * this.align,
    };
  }

  check(): void {
    let at = this.#base;
    let used = 0;
    let requested = 0;
    let taken = 0;
    let free = 0;
    let before = NONE;
    for (let id = this.#head(); id !== NONE; id = this.#after[id]!) {
      const bytes = this.#bytes[id]!;
      expectEqual("offset", this.#offset[id]!, at);
      expectEqual("neighbour", this.#before[id]!, before);
      if (bytes < 0) {
        free++;
        if (before !== NONE && this.#bytes[before]! < 0) {
          throw new Error(`Heap check: free spans side by side at ${at}`);
        }
      } else {
        taken++;
        used += this.#size[id]!;
        requested += bytes;
        expectEqual("taken", this.#taken.get(at * this.align) ?? NONE, id);
        expectEqual("units", this.#size[id]!, Math.ceil(bytes / this.align));
      }
      at += this.#size[id]!;
      before = id;
    }
    expectEqual("end", at, this.#end);
    expectEqual("last", this.#last, before);
    expectEqual("used", this.#used, used);
    expectEqual("requested", this.#requested, requested);
    expectEqual("taken spans", this.#taken.size, taken);
    expectEqual(
      "free spans",
      this.#free.count((id, units) => {
        if (this.#bytes[id]! >= 0) {
          throw new Error(`Heap check: span ${id} is taken and in a list`);
        }
        expectEqual("listed units", units, this.#size[id]!);
      }),
      free,
    );
  }

  /** The record of a span that was handed out. */
  #find(span: Span, action: string): number {
    const id = this.#taken.get(span.offset);
    if (id !== undefined && this.#bytes[id] === span.bytes) return id;
    throw new TypeError(
      `Cannot ${action} ${span.bytes} bytes at ${span.offset}: the heap did not hand them out, or they are free already`,
    );
  }

  /** First record in space: the one nothing comes before. */
  #head(): number {
    let id = this.#last;
    while (id !== NONE && this.#before[id] !== NONE) id = this.#before[id]!;
    return id;
  }

  /** Makes `right`, which follows `left` in space, part of it. */
  #join(left: number, right: number): void {
    const after = this.#after[right]!;
    this.#size[left]! += this.#size[right]!;
    this.#after[left] = after;
    if (after === NONE) this.#last = left;
    else this.#before[after] = left;
    this.#after[right] = this.#spare;
    this.#spare = right;
  }

  #record(offset: number, size: number, before: number, after: number): number {
    let id = this.#spare;
    if (id !== NONE) this.#spare = this.#after[id]!;
    else {
      id = this.#records++;
      if (id === this.#offset.length) this.#enlarge();
    }
    this.#offset[id] = offset;
    this.#size[id] = size;
    this.#bytes[id] = -1;
    this.#before[id] = before;
    this.#after[id] = after;
    return id;
  }

  #enlarge(): void {
    const length = this.#offset.length * 2;
    this.#offset = larger(this.#offset, length);
    this.#size = larger(this.#size, length);
    this.#before = larger(this.#before, length);
    this.#after = larger(this.#after, length);
    const bytes = new Float64Array(length);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}

function isPower(n: number): boolean {
  return (n & (n - 1)) === 0;
}
