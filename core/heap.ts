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
 * units of the alignment. Classes for a size of `u` units:
 *
 * ```text
 *  u < 32         first 0             second u        exact
 *  2^f <= u       first f - 4         second          32 steps of 2^(f-5)
 *         < 2^(f+1)                   (u >> f-5) - 32
 * ```
 *
 * @module
 */
import type { Allocator, AllocStat, Span } from "./allocator.ts";

/** Second-level classes per first-level class, and their count as a power. */
const STEPS = 32;
const STEP_BITS = 5;
const FIRSTS = 32 - STEP_BITS;
const NONE = -1;

/** Settings of a heap. */
export interface HeapOptions {
  /** Bytes at the start that are never handed out. Default: `align`. */
  readonly base?: number;
}

/** A general allocator whose space can become larger. */
export interface Heap extends Allocator {
  readonly align: number;
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
  #firstMap = 0;
  readonly #secondMap = new Int32Array(FIRSTS);
  readonly #heads = new Int32Array(FIRSTS * STEPS).fill(NONE);
  /** Taken spans: byte offset to record. */
  readonly #taken = new Map<number, number>();
  #last = NONE; // record at the end of the space

  // Records of spans, taken and free, in the order of nothing.
  #records = 0;
  #spare = NONE; // records not in use, linked by #next
  #offset = new Int32Array(64); // units
  #size = new Int32Array(64); // units
  #bytes = new Float64Array(64); // asked for; -1 when free
  #before = new Int32Array(64); // neighbour in space
  #after = new Int32Array(64);
  #previous = new Int32Array(64); // neighbour in the class's list
  #next = new Int32Array(64);

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
      this.#unlink(last);
      this.#size[last]! += more;
      this.#link(last);
    } else {
      const id = this.#record(this.#end, more, last, NONE);
      if (last !== NONE) this.#after[last] = id;
      this.#last = id;
      this.#link(id);
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
    const id = this.#find(units);
    if (id === NONE) return undefined;
    this.#unlink(id);
    const rest = this.#size[id]! - units;
    if (rest > 0) {
      const after = this.#after[id]!;
      const tail = this.#record(this.#offset[id]! + units, rest, id, after);
      if (after === NONE) this.#last = tail;
      else this.#before[after] = tail;
      this.#after[id] = tail;
      this.#size[id] = units;
      this.#link(tail);
    }
    this.#bytes[id] = bytes;
    this.#used += units;
    this.#requested += bytes;
    const offset = this.#offset[id]! * this.align;
    this.#taken.set(offset, id);
    return { offset, bytes };
  }

  free(span: Span): void {
    const found = this.#taken.get(span.offset);
    if (found === undefined || this.#bytes[found] !== span.bytes) {
      throw new TypeError(
        `Cannot free ${span.bytes} bytes at ${span.offset}: the heap did not hand them out, or they are free already`,
      );
    }
    let id = found;
    this.#taken.delete(span.offset);
    this.#used -= this.#size[id]!;
    this.#requested -= span.bytes;
    this.#bytes[id] = -1;
    const after = this.#after[id]!;
    if (after !== NONE && this.#bytes[after]! < 0) {
      this.#unlink(after);
      this.#join(id, after);
    }
    const before = this.#before[id]!;
    if (before !== NONE && this.#bytes[before]! < 0) {
      this.#unlink(before);
      this.#join(before, id);
      id = before;
    }
    this.#link(id);
  }

  stat(): AllocStat {
    return {
      capacity: (this.#end - this.#base) * this.align,
      used: this.#used * this.align,
      requested: this.#requested,
      largestFree: this.#largest() * this.align,
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
      expect("offset", this.#offset[id]!, at);
      expect("neighbour", this.#before[id]!, before);
      if (bytes < 0) {
        free++;
        if (before !== NONE && this.#bytes[before]! < 0) {
          throw new Error(`Heap check: free spans side by side at ${at}`);
        }
      } else {
        taken++;
        used += this.#size[id]!;
        requested += bytes;
        expect("taken", this.#taken.get(at * this.align) ?? NONE, id);
        expect("units", this.#size[id]!, Math.ceil(bytes / this.align));
      }
      at += this.#size[id]!;
      before = id;
    }
    expect("end", at, this.#end);
    expect("last", this.#last, before);
    expect("used", this.#used, used);
    expect("requested", this.#requested, requested);
    expect("taken spans", this.#taken.size, taken);
    expect("free spans", this.#countLists(), free);
  }

  /** First record in space: the one nothing comes before. */
  #head(): number {
    let id = this.#last;
    while (id !== NONE && this.#before[id] !== NONE) id = this.#before[id]!;
    return id;
  }

  #countLists(): number {
    let count = 0;
    for (let c = 0; c < this.#heads.length; c++) {
      const first = c >> STEP_BITS;
      const marked = (this.#secondMap[first]! >>> (c & 31)) & 1;
      expect("class bit", marked, this.#heads[c] === NONE ? 0 : 1);
      let previous = NONE;
      for (let id = this.#heads[c]!; id !== NONE; id = this.#next[id]!) {
        expect("class", classOf(this.#size[id]!), c);
        expect("list", this.#previous[id]!, previous);
        if (this.#bytes[id]! >= 0) {
          throw new Error(`Heap check: taken span in list ${c}`);
        }
        previous = id;
        count++;
      }
      if ((c & 31) === 31) {
        expect(
          "first bit",
          (this.#firstMap >>> first) & 1,
          this.#secondMap[first] === 0 ? 0 : 1,
        );
      }
    }
    return count;
  }

  /** A free record of at least `units`. */
  #find(units: number): number {
    // The wanted size's own class may hold smaller spans; its head is worth a
    // look because equal sizes come back often.
    const own = classOf(units);
    const head = this.#heads[own]!;
    if (head !== NONE && this.#size[head]! >= units) return head;
    const above = this.#classFrom(own + 1);
    if (above !== NONE) return this.#heads[above]!;
    // Nothing larger: the one case that walks a list, so that `largestFree`
    // can always be had.
    for (let id = head; id !== NONE; id = this.#next[id]!) {
      if (this.#size[id]! >= units) return id;
    }
    return NONE;
  }

  /** The first class at or above `from` that holds a span. */
  #classFrom(from: number): number {
    let first = from >> STEP_BITS;
    if (first >= FIRSTS) return NONE;
    let map = this.#secondMap[first]! & (-1 << (from & 31));
    if (map === 0) {
      const firsts = first === 31 ? 0 : this.#firstMap & (-2 << first);
      if (firsts === 0) return NONE;
      first = lowest(firsts);
      map = this.#secondMap[first]!;
    }
    return (first << STEP_BITS) + lowest(map);
  }

  #largest(): number {
    if (this.#firstMap === 0) return 0;
    const first = 31 - Math.clz32(this.#firstMap);
    const second = 31 - Math.clz32(this.#secondMap[first]!);
    let most = 0;
    let id = this.#heads[(first << STEP_BITS) + second]!;
    for (; id !== NONE; id = this.#next[id]!) {
      most = Math.max(most, this.#size[id]!);
    }
    return most;
  }

  #link(id: number): void {
    const c = classOf(this.#size[id]!);
    const head = this.#heads[c]!;
    this.#previous[id] = NONE;
    this.#next[id] = head;
    if (head !== NONE) this.#previous[head] = id;
    this.#heads[c] = id;
    this.#secondMap[c >> STEP_BITS]! |= 1 << (c & 31);
    this.#firstMap |= 1 << (c >> STEP_BITS);
  }

  #unlink(id: number): void {
    const previous = this.#previous[id]!;
    const next = this.#next[id]!;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) {
      this.#next[previous] = next;
      return;
    }
    const c = classOf(this.#size[id]!);
    const first = c >> STEP_BITS;
    this.#heads[c] = next;
    if (next !== NONE) return;
    this.#secondMap[first]! &= ~(1 << (c & 31));
    if (this.#secondMap[first] === 0) this.#firstMap &= ~(1 << first);
  }

  /** Makes `right`, which follows `left` in space, part of it. */
  #join(left: number, right: number): void {
    const after = this.#after[right]!;
    this.#size[left]! += this.#size[right]!;
    this.#after[left] = after;
    if (after === NONE) this.#last = left;
    else this.#before[after] = left;
    this.#next[right] = this.#spare;
    this.#spare = right;
  }

  #record(offset: number, size: number, before: number, after: number): number {
    let id = this.#spare;
    if (id !== NONE) this.#spare = this.#next[id]!;
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
    const larger = (old: Int32Array) => {
      const made = new Int32Array(length);
      made.set(old);
      return made;
    };
    this.#offset = larger(this.#offset);
    this.#size = larger(this.#size);
    this.#before = larger(this.#before);
    this.#after = larger(this.#after);
    this.#previous = larger(this.#previous);
    this.#next = larger(this.#next);
    const bytes = new Float64Array(length);
    bytes.set(this.#bytes);
    this.#bytes = bytes;
  }
}

/** The class a free span of `units` stands in. */
function classOf(units: number): number {
  if (units < STEPS) return units;
  const f = 31 - Math.clz32(units);
  const second = (units >>> (f - STEP_BITS)) - STEPS;
  return ((f - STEP_BITS + 1) << STEP_BITS) + second;
}

function lowest(map: number): number {
  return 31 - Math.clz32(map & -map);
}

function isPower(n: number): boolean {
  return (n & (n - 1)) === 0;
}

function expect(what: string, actual: number, wanted: number): void {
  if (actual !== wanted) {
    throw new Error(`Heap check: ${what} is ${actual}, recounted ${wanted}`);
  }
}
