/**
 * Free spans by size, so that one that surely fits is found in a few steps.
 *
 * Sizes are in units. Two bitmaps say which classes hold spans:
 *
 * ```text
 *  u < 32         first 0             second u        exact
 *  2^f <= u       first f - 4         second          32 steps of 2^(f-5)
 *         < 2^(f+1)                   (u >> f-5) - 32
 * ```
 *
 * @module
 */

/** Stands for no record. */
export const NONE = -1;

/** Second-level classes per first-level class, and their count as a power. */
const STEPS = 32;
const STEP_BITS = 5;
const FIRSTS = 32 - STEP_BITS;

/** Lists of free records, one per class; the newest stands first. */
export class SizeClasses {
  #firstMap = 0;
  readonly #secondMap = new Int32Array(FIRSTS);
  readonly #heads = new Int32Array(FIRSTS * STEPS).fill(NONE);
  // By record.
  #sizes = new Int32Array(64);
  #previous = new Int32Array(64);
  #next = new Int32Array(64);

  /** Adds a record of `units`, 1 or more. */
  add(id: number, units: number): void {
    if (id >= this.#sizes.length) this.#enlarge(id);
    const c = classOf(units);
    const head = this.#heads[c]!;
    this.#sizes[id] = units;
    this.#previous[id] = NONE;
    this.#next[id] = head;
    if (head !== NONE) this.#previous[head] = id;
    this.#heads[c] = id;
    this.#secondMap[c >> STEP_BITS]! |= 1 << (c & 31);
    this.#firstMap |= 1 << (c >> STEP_BITS);
  }

  /** Takes a record out that was added. */
  remove(id: number): void {
    const previous = this.#previous[id]!;
    const next = this.#next[id]!;
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) {
      this.#next[previous] = next;
      return;
    }
    const c = classOf(this.#sizes[id]!);
    const first = c >> STEP_BITS;
    this.#heads[c] = next;
    if (next !== NONE) return;
    this.#secondMap[first]! &= ~(1 << (c & 31));
    if (this.#secondMap[first] === 0) this.#firstMap &= ~(1 << first);
  }

  /** A record of at least `units`, or NONE. */
  find(units: number): number {
    // The wanted size's own class may hold smaller spans; its head is worth a
    // look because equal sizes come back often.
    const own = classOf(units);
    const head = this.#heads[own]!;
    if (head !== NONE && this.#sizes[head]! >= units) return head;
    const above = this.#classFrom(own + 1);
    if (above !== NONE) return this.#heads[above]!;
    // Nothing larger: the one case that walks a list, so that `largest()` can
    // always be had.
    for (let id = head; id !== NONE; id = this.#next[id]!) {
      if (this.#sizes[id]! >= units) return id;
    }
    return NONE;
  }

  /** Units of the largest record, 0 for none. */
  largest(): number {
    if (this.#firstMap === 0) return 0;
    const first = 31 - Math.clz32(this.#firstMap);
    const second = 31 - Math.clz32(this.#secondMap[first]!);
    let most = 0;
    let id = this.#heads[(first << STEP_BITS) + second]!;
    for (; id !== NONE; id = this.#next[id]!) {
      most = Math.max(most, this.#sizes[id]!);
    }
    return most;
  }

  /**
   * Recounts the records, calling `each` with their sizes; throws where lists
   * and bitmaps disagree.
   */
  count(each: (id: number, units: number) => void): number {
    let count = 0;
    for (let c = 0; c < this.#heads.length; c++) {
      const first = c >> STEP_BITS;
      const marked = (this.#secondMap[first]! >>> (c & 31)) & 1;
      expectEqual("class bit", marked, this.#heads[c] === NONE ? 0 : 1);
      let previous = NONE;
      for (let id = this.#heads[c]!; id !== NONE; id = this.#next[id]!) {
        expectEqual("class", classOf(this.#sizes[id]!), c);
        expectEqual("list", this.#previous[id]!, previous);
        each(id, this.#sizes[id]!);
        previous = id;
        count++;
      }
      const any = (this.#firstMap >>> first) & 1;
      expectEqual("first bit", any, this.#secondMap[first] === 0 ? 0 : 1);
    }
    return count;
  }

  /** The first class at or above `from` that holds a record. */
  #classFrom(from: number): number {
    let first = from >> STEP_BITS;
    if (first >= FIRSTS) return NONE;
    let map = this.#secondMap[first]! & (-1 << (from & 31));
    if (map === 0) {
      const firsts = this.#firstMap & (-2 << first);
      if (firsts === 0) return NONE;
      first = lowest(firsts);
      map = this.#secondMap[first]!;
    }
    return (first << STEP_BITS) + lowest(map);
  }

  #enlarge(id: number): void {
    this.#sizes = larger(this.#sizes, id * 2);
    this.#previous = larger(this.#previous, id * 2);
    this.#next = larger(this.#next, id * 2);
  }
}

/** A copy of an array with room for `length` values. */
export function larger(
  old: Int32Array,
  length: number,
): Int32Array<ArrayBuffer> {
  const made = new Int32Array(length);
  made.set(old);
  return made;
}

/** Throws where a count of the heap is not what was recounted. */
export function expectEqual(
  what: string,
  actual: number,
  wanted: number,
): void {
  if (actual !== wanted) {
    throw new Error(`Heap check: ${what} is ${actual}, recounted ${wanted}`);
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
