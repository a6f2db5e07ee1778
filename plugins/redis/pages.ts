/**
 * A block as values of one page each, so that a part of it is read without the rest.
 *
 * ```text
 *  block    0        16 KiB      32 KiB            end
 *           | page 0 | page 1    | page 2 (shorter) |
 *  values   NAME:0     NAME:1      NAME:2              each framed, see frame.ts
 *  a part        [at ········ at + length)             pages 0 and 1 are read
 * ```
 * The name of a page is in its frame, so none is taken for another, or for one of
 * another block. One that is not there, or not right, is no part of a block: there
 * is no block with a hole.
 *
 * @module
 */
import { frame, opened } from "./frame.ts";

/**
 * Bytes of a page. Parts of a layer are often whole multiples: 64 positions of 192
 * numbers of K and of V are three.
 */
export const PAGE: number = 2 ** 14;

/** Pages of a block of so many bytes, at least one. */
export function pageCount(bytes: number): number {
  return Math.max(1, Math.ceil(bytes / PAGE));
}

/** What a page of a block is called. */
export function pageName(name: string, page: number): string {
  return `${name}:${page}`;
}

/** Names of all pages of a block. */
export function pageNames(name: string, bytes: number): string[] {
  return Array.from(
    { length: pageCount(bytes) },
    (_, page) => pageName(name, page),
  );
}

/** The values that keep a block, by their names. */
export function framePages(
  name: string,
  block: Uint8Array,
): (readonly [string, Uint8Array])[] {
  return pageNames(name, block.length).map((of, page) =>
    [of, frame(of, block.subarray(page * PAGE, (page + 1) * PAGE))] as const
  );
}

/** A part of a block: which pages have it. */
export class Part {
  readonly #name: string;
  readonly #total: number;
  readonly #at: number;
  readonly #length: number;
  readonly #first: number;
  /** Names of the pages. */
  readonly names: readonly string[];

  /** `length` bytes from `at` on, of the `total` that are called `name`. */
  constructor(name: string, total: number, at: number, length: number) {
    this.#name = name;
    this.#total = total;
    this.#at = at;
    this.#length = length;
    this.#first = Math.floor(at / PAGE);
    const count = length === 0
      ? 0
      : Math.floor((at + length - 1) / PAGE) - this.#first + 1;
    this.names = Array.from(
      { length: count },
      (_, i) => pageName(name, this.#first + i),
    );
  }

  /** Whether there is such a part. */
  get possible(): boolean {
    return this.#at >= 0 && this.#at + this.#length <= this.#total;
  }

  /** Fills `out` from the values of `names`; false, and nothing, where one is wrong. */
  fill(values: readonly (Uint8Array | undefined)[], out: Uint8Array): boolean {
    const pages: Uint8Array[] = [];
    for (const [i, value] of values.entries()) {
      const page = this.#first + i;
      const block = value && opened(pageName(this.#name, page), value);
      const bytes = Math.min(PAGE, this.#total - page * PAGE);
      if (!(block instanceof Uint8Array) || block.length !== bytes) {
        return false;
      }
      pages.push(block);
    }
    if (pages.length !== this.names.length) return false;
    const end = this.#at + this.#length;
    for (const [i, block] of pages.entries()) {
      const start = (this.#first + i) * PAGE;
      const from = Math.max(this.#at, start);
      const to = Math.min(end, start + block.length);
      out.set(block.subarray(from - start, to - start), from - this.#at);
    }
    return true;
  }
}
