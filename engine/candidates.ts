/**
 * The tokens that a sampler chooses from.
 *
 * @module
 */

/**
 * Candidates and their logits; room is kept from token to token.
 *
 * ```text
 *  0          heap              count
 *  | heap, best at its root | taken |     the best taken is the last
 * ```
 */
export class Candidates {
  /** How many there are. */
  count = 0;
  #ids = new Int32Array(256);
  #values = new Float64Array(256);
  #heap = 0;
  /** The row they are from. */
  #logits: Float32Array = new Float32Array(0);
  /** Every token is one, at the place of its id. */
  #all = false;
  /** They stand in the order of their ids. */
  #ascending = false;

  /** Begins anew with the first `n` of `ids`; more than `more` are never added. */
  some(
    logits: Float32Array,
    ids: Int32Array,
    values: Float32Array,
    n: number,
    more: number,
  ): void {
    this.#begin(logits, false, n + more);
    let i = 0;
    for (; i < n && ids[i]! >= 0; i++) {
      this.#ids[i] = ids[i]!;
      this.#values[i] = values[i]!;
    }
    this.count = i;
  }

  /** Begins anew with every token. */
  all(logits: Float32Array): void {
    const n = logits.length;
    this.#begin(logits, true, n);
    for (let id = 0; id < n; id++) {
      this.#ids[id] = id;
      this.#values[id] = number(logits[id]!);
    }
    this.count = n;
  }

  /** Begins anew with these tokens; more than `more` are never added. */
  listed(logits: Float32Array, ids: Int32Array, more: number): void {
    this.#begin(logits, false, ids.length + more);
    this.count = 0;
    for (let i = 0; i < ids.length; i++) this.#push(ids[i]!);
    this.#ascending = true;
  }

  /** Begins anew with the tokens of which the bit is set. */
  marked(logits: Float32Array, bits: Uint32Array, count: number): void {
    this.#begin(logits, false, count);
    this.count = 0;
    for (let i = 0; i < bits.length; i++) {
      for (let w = bits[i]!; w !== 0; w &= w - 1) {
        this.#push(i * 32 + 31 - Math.clz32(w & -w));
      }
    }
    this.#ascending = true;
  }

  #push(id: number): void {
    this.#ids[this.count] = id;
    this.#values[this.count++] = number(this.#logits[id]!);
  }

  /** Leaves out those that `keep` does not want. */
  filter(keep: (id: number) => boolean): void {
    let n = 0;
    for (let i = 0; i < this.count; i++) {
      if (!keep(this.#ids[i]!)) continue;
      this.#ids[n] = this.#ids[i]!;
      this.#values[n++] = this.#values[i]!;
    }
    this.count = n;
  }

  #begin(logits: Float32Array, all: boolean, room: number): void {
    this.#logits = logits;
    this.#all = all;
    this.#ascending = false;
    if (this.#ids.length >= room) return;
    this.#ids = new Int32Array(room);
    this.#values = new Float64Array(room);
  }

  /** Place of a token, which becomes a candidate where it is none. */
  find(id: number): number {
    if (this.#all) return id;
    if (this.#ascending) {
      const at = this.#search(id);
      if (this.#ids[at] === id && at < this.count) return at;
      this.#ascending = false;
    }
    for (let i = 0; i < this.count; i++) if (this.#ids[i] === id) return i;
    this.#ids[this.count] = id;
    this.#values[this.count] = number(this.#logits[id]!);
    return this.count++;
  }

  /** The first place, of ids in ascending order, that is not before `id`. */
  #search(id: number): number {
    let low = 0, high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.#ids[middle]! < id) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The token at a place. */
  id(at: number): number {
    return this.#ids[at]!;
  }

  /** The logit at a place. */
  value(at: number): number {
    return this.#values[at]!;
  }

  /** Writes the logit, or what a sampler makes of it, at a place. */
  set(at: number, value: number): void {
    this.#values[at] = value;
  }

  /** Place of the best: the largest, ties by lower id. */
  best(): number {
    let best = 0;
    for (let i = 1; i < this.count; i++) if (this.#before(i, best)) best = i;
    return best;
  }

  /** Leaves out those below `least`. */
  drop(least: number): void {
    const ids = this.#ids, values = this.#values;
    let n = 0;
    for (let i = 0; i < this.count; i++) {
      if (values[i]! < least) continue;
      ids[n] = ids[i]!;
      values[n++] = values[i]!;
    }
    this.count = n;
  }

  /** Makes all of them a heap, none taken. */
  order(): void {
    this.#heap = this.count;
    for (let i = (this.#heap >> 1) - 1; i >= 0; i--) this.#sink(i);
  }

  /** Takes the best of the heap. */
  take(): void {
    this.#swap(0, --this.#heap);
    this.#sink(0);
  }

  #sink(i: number): void {
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.#heap) return;
      if (child + 1 < this.#heap && this.#before(child + 1, child)) child++;
      if (!this.#before(child, i)) return;
      this.#swap(i, child);
      i = child;
    }
  }

  #before(a: number, b: number): boolean {
    const v = this.#values[a]!, w = this.#values[b]!;
    return v > w || (v === w && this.#ids[a]! < this.#ids[b]!);
  }

  #swap(a: number, b: number): void {
    const ids = this.#ids, values = this.#values;
    const id = ids[a]!, v = values[a]!;
    ids[a] = ids[b]!;
    values[a] = values[b]!;
    ids[b] = id;
    values[b] = v;
  }
}

/** NaN is the least likely of all. */
function number(logit: number): number {
  return logit > -Infinity ? logit : -Infinity;
}
