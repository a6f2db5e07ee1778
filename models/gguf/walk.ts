/**
 * A bounds-checked walk over a GGUF header: every length and count in it is
 * held against the file before anyone believes it.
 *
 * ```text
 * "GGUF" | version u32 | tensors u64 | entries u64
 * entry:  key string | kind u32 | value
 * array:  kind u32 | count u64 | values
 * string: length u64 | bytes
 * tensor: name string | n u32 | n dimensions u64 | type u32 | offset u64
 * ```
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { HeaderSource } from "./source.ts";
import { quote } from "./quote.ts";
import { VALUE, VALUE_BYTES } from "./value_types.ts";

export { quote } from "./quote.ts";

/** Where an array of the metadata lies in the header. */
export interface ArrayRange {
  readonly kind: number;
  readonly count: number;
  /** First byte of the array's own header (its kind). */
  readonly start: number;
  /** First byte of the values. */
  readonly values: number;
  /** One past the last byte of the values. */
  readonly end: number;
}

/** Where a text of the metadata lies in the header. */
export interface TextRange {
  /** First byte of its length. */
  readonly start: number;
  /** One past its last byte. */
  readonly end: number;
}

/** What the walk found. */
export interface HeaderMap {
  readonly arrays: ReadonlyMap<string, ArrayRange>;
  readonly texts: ReadonlyMap<string, TextRange>;
  /** Tensor data offsets are multiples of this, and relative to `end` rounded up to it. */
  readonly alignment: number;
  /** One past the header's last byte. */
  readonly end: number;
}

const MAX_ENTRIES = 65_536;
const MAX_TENSORS = 65_536;
const MAX_KEY = 65_535;
const MAX_TENSOR_NAME = 255;
const MAX_DIMS = 4;
const TOO_BIG = 2 ** 32;

/**
 * Walks the header of one file.
 *
 * @throws {ModelError} that says what is wrong and where.
 */
export function walkHeader(src: HeaderSource): HeaderMap {
  return new Walk(src).run();
}

class Walk {
  readonly #src: HeaderSource;
  readonly #text = new TextDecoder("utf-8", { ignoreBOM: true });
  readonly #arrays = new Map<string, ArrayRange>();
  readonly #texts = new Map<string, TextRange>();
  #at = 0;

  constructor(src: HeaderSource) {
    this.#src = src;
  }

  run(): HeaderMap {
    this.#checkStart();
    const tensors = this.#count("number of tensors", MAX_TENSORS, 24);
    const entries = this.#count("number of metadata entries", MAX_ENTRIES, 13);
    const keys = new Set<string>();
    let alignment = 32;
    for (let i = 0; i < entries; i++) {
      const key = this.#string(`key ${i}`, MAX_KEY);
      if (key === "") this.#fail(`metadata key ${i} of ${entries} is empty`);
      if (keys.has(key)) {
        this.#fail(`metadata key ${quote(key)} occurs twice, wanted once`);
      }
      keys.add(key);
      const kind = this.#u32(key);
      if (key === "general.alignment") alignment = this.#alignment(kind);
      this.#value(key, kind);
    }
    for (let i = 0; i < tensors; i++) this.#tensor(i);
    const arrays = this.#arrays, texts = this.#texts;
    return { arrays, texts, alignment, end: this.#at };
  }

  #fail(problem: string): never {
    throw new ModelError(this.#src.path, problem);
  }

  #checkStart(): void {
    const { size, path } = this.#src;
    if (size === 0) {
      throw new ModelError(path, "the file is empty, wanted a GGUF model");
    }
    this.#need(Math.min(size, 4), "the magic");
    const magic = this.#text.decode(this.#src.bytes.subarray(0, 4));
    if (magic !== "GGUF") {
      this.#fail(
        `this is not a GGUF file: it starts with ${quote(magic)}, ` +
          `wanted "GGUF"`,
      );
    }
    this.#at = 4;
    const version = this.#u32("the version");
    if (version === 2 || version === 3) return;
    if (version !== 0 && (version & 0xffff) === 0) {
      this.#fail(
        "the file is big-endian, wanted little-endian; convert it again",
      );
    }
    this.#fail(`GGUF version is ${version}, wanted 2 or 3`);
  }

  #need(count: number, what: string): void {
    this.#src.need(this.#at, count, what);
  }

  #u32(what: string): number {
    this.#need(4, what);
    const value = this.#src.view.getUint32(this.#at, true);
    this.#at += 4;
    return value;
  }

  /** A u64; above 2^53 it is not exact, and by far too large for every use. */
  #u64(what: string): number {
    this.#need(8, what);
    const { view } = this.#src;
    const value = view.getUint32(this.#at + 4, true) * TOO_BIG +
      view.getUint32(this.#at, true);
    this.#at += 8;
    return value;
  }

  /** A count of things that each take at least `bytes` bytes of the file. */
  #count(what: string, max: number, bytes: number): number {
    const count = this.#u64(what);
    const room = Math.floor((this.#src.size - this.#at) / bytes);
    const most = Math.min(max, room);
    if (count > most) {
      this.#fail(
        `the ${what} is ${count}, at most ${most} ` +
          (room < max ? `fit the file's ${this.#src.size} bytes` : "are read"),
      );
    }
    return count;
  }

  #skipString(what: string, max: number): number {
    const length = this.#u64(what);
    if (length > this.#src.size - this.#at || length > max) {
      this.#fail(
        `a string in ${quote(what)} claims ${length} bytes at byte ` +
          `${this.#at}, at most ` +
          `${Math.min(max, this.#src.size - this.#at)} are possible`,
      );
    }
    this.#need(length, what);
    this.#at += length;
    return length;
  }

  #string(what: string, max: number): string {
    const length = this.#skipString(what, max);
    const text = this.#text.decode(
      this.#src.bytes.subarray(this.#at - length, this.#at),
    );
    // Others drop it, and have a name that is another's.
    if (text.startsWith("\uFEFF")) {
      this.#fail(`the ${what} begins with a byte order mark, wanted none`);
    }
    return text;
  }

  #alignment(kind: number): number {
    if (kind !== VALUE.U32) {
      this.#fail(`"general.alignment" has value kind ${kind}, wanted u32 (4)`);
    }
    this.#need(4, "general.alignment");
    const value = this.#src.view.getUint32(this.#at, true);
    if (value === 0 || (value & (value - 1)) !== 0 || value > 1 << 20) {
      this.#fail(
        `"general.alignment" is ${value}, wanted a power of two up to ${
          1 << 20
        }`,
      );
    }
    return value;
  }

  #value(key: string, kind: number): void {
    const bytes = VALUE_BYTES[kind];
    if (bytes === undefined) {
      this.#fail(
        `metadata key ${quote(key)} has value kind ${kind}, wanted 0 to 12`,
      );
    }
    if (kind === VALUE.STRING) {
      const start = this.#at;
      this.#skipString(key, Infinity);
      this.#texts.set(key, { start, end: this.#at });
    } else if (kind === VALUE.ARRAY) {
      this.#arrays.set(key, this.#array(key));
    } else {
      this.#need(bytes, key);
      this.#at += bytes;
    }
  }

  #array(key: string): ArrayRange {
    const start = this.#at;
    const kind = this.#u32(key);
    const bytes = VALUE_BYTES[kind];
    if (bytes === undefined || kind === VALUE.ARRAY) {
      this.#fail(
        `the array ${quote(key)} has values of kind ${kind}, ` +
          `wanted 0 to 12 and no arrays (9)`,
      );
    }
    const least = kind === VALUE.STRING ? 8 : bytes;
    const count = this.#count(`length of array ${quote(key)}`, Infinity, least);
    const values = this.#at;
    if (kind === VALUE.STRING) {
      for (let i = 0; i < count; i++) this.#skipString(key, Infinity);
    } else {
      this.#need(count * bytes, key);
      this.#at += count * bytes;
    }
    return { kind, count, start, values, end: this.#at };
  }

  #tensor(i: number): void {
    const name = this.#string(`name of tensor ${i}`, MAX_TENSOR_NAME);
    const dims = this.#u32(name);
    if (dims > MAX_DIMS) {
      this.#fail(
        `tensor ${quote(name)} has ${dims} dimensions, wanted at most ` +
          `${MAX_DIMS}`,
      );
    }
    for (let d = 0; d < dims; d++) {
      const length = this.#u64(name);
      if (length === 0 || length >= TOO_BIG) {
        this.#fail(
          `dimension ${d} of tensor ${quote(name)} is ${length}, ` +
            `wanted 1 to ${TOO_BIG - 1}`,
        );
      }
    }
    this.#u32(name);
    this.#u64(name);
  }
}
