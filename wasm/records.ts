/**
 * Writing the records of a step program; `assembly/` has the classes that read
 * them. Every field is one 32-bit word, in the class's order.
 *
 * @module
 */

/** Bytes of a record. */
export const RECORD_BYTES = 128;

/** Word of a record that counts what workers have taken of it; 0 before a step. */
export const NEXT_WORD = 31;

/** Everyone waits for everyone after this record. */
export const BARRIER = 1;

/** Kinds of records; a product's kind is `product` plus its lane layout. */
export const KIND = {
  low: -1,
  embed: 1,
  angles: 2,
  norm: 3,
  turn: 4,
  attend: 5,
  merge: 6,
  gate: 7,
  top: 8,
  topMerge: 9,
  gated: 10,
  seal: 11,
  wait: 12,
  release: 13,
  leap: 14,
  boundary: 15,
  route: 24,
  allot: 25,
  gatedEach: 26,
  downEach: 27,
  combine: 28,
  product: 32,
} as const;

/** Flags by kind of record, beside {@linkcode BARRIER}. */
export const FLAG = {
  /** Product: the result is added to what is there. */
  add: 2,
  /** Norm, merge, gate: write eight-bit codes. */
  quant: 2,
  /** Norm, merge, gate: write f32 tiles. */
  float: 4,
  /** Gate: GELU (tanh form) instead of SiLU. */
  gelu: 8,
  /** Route: weights of those taken sum to 1. */
  normalised: 2,
  /** Route, allot: all rows take one more, by a sigmoid of its own score. */
  shared: 4,
  /** Turn, attend: neighbouring values turn together. */
  neighbours: 2,
} as const;

const bits = new DataView(new ArrayBuffer(4));

/** The word that holds a float. */
export function f32(value: number): number {
  bits.setFloat32(0, value);
  return bits.getInt32(0);
}

/** A growing list of records. */
export class Records {
  readonly #records: number[][] = [];

  /** Appends a record and returns its index. */
  add(kind: number, flags: number, ...fields: number[]): number {
    return this.#records.push([kind, flags, ...fields]) - 1;
  }

  /** Words of the last record, its kind first. */
  get last(): readonly number[] {
    return this.#records.at(-1) ?? [];
  }

  /** Writes fields of the last record from its `word` on. */
  set(word: number, ...fields: number[]): void {
    const last = this.#records.at(-1)!;
    while (last.length < word) last.push(0);
    last.splice(word, fields.length, ...fields);
  }

  /** Everyone waits after the last record. */
  barrier(): void {
    const last = this.#records.at(-1);
    if (last !== undefined) last[1]! |= BARRIER;
  }

  /** Records so far. */
  get length(): number {
    return this.#records.length;
  }

  /** Bytes the list takes, its end included. */
  get bytes(): number {
    return (this.#records.length + 1) * RECORD_BYTES;
  }

  /** Writes all records; `words` starts at the program's address. */
  write(words: Int32Array): void {
    words.fill(0);
    this.#records.forEach((r, i) => words.set(r, i * (RECORD_BYTES / 4)));
  }
}
