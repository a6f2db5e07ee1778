/**
 * Strings of JSON, of any characters, whose length may be bounded.
 *
 * @module
 */
import type { Terminal } from "./terminal.ts";
import type { TokenTree } from "./token_tree.ts";

/** States of one character, and of the quotation marks around all. */
const AT = {
  start: 0,
  /** Between two characters. */
  between: 1,
  end: 2,
  /** One, two, three bytes of a character are missing. */
  one: 3,
  two: 4,
  three: 5,
  /** Behind E0, ED, F0 and F4, which not every byte may follow. */
  e0: 6,
  ed: 7,
  f0: 8,
  f4: 9,
  /** Behind a backslash, then behind digits of \u; surrogates are left out. */
  escape: 10,
  u1: 11,
  u2: 12,
  u2d: 13,
  u3: 14,
  u4: 15,
} as const;

const STATES = 16;

/** From each state by each byte, -1 for none: as if the length did not matter. */
const NEXT: Int8Array = (() => {
  const next = new Int8Array(STATES * 256).fill(-1);
  const lead = (from: number, low: number, high: number, to: number): void => {
    for (let byte = low; byte <= high; byte++) next[from * 256 + byte] = to;
  };
  const on = (from: number, bytes: string, to: number): void => {
    for (const c of bytes) lead(from, c.charCodeAt(0), c.charCodeAt(0), to);
  };
  const digits = "0123456789abcefABCEF";
  on(AT.start, '"', AT.between);
  lead(AT.between, 0x20, 0x7f, AT.between);
  lead(AT.between, 0xc2, 0xdf, AT.one);
  lead(AT.between, 0xe0, 0xef, AT.two);
  lead(AT.between, 0xf1, 0xf3, AT.three);
  lead(AT.between, 0xe0, 0xe0, AT.e0);
  lead(AT.between, 0xed, 0xed, AT.ed);
  lead(AT.between, 0xf0, 0xf0, AT.f0);
  lead(AT.between, 0xf4, 0xf4, AT.f4);
  on(AT.between, '"', AT.end);
  on(AT.between, "\\", AT.escape);
  lead(AT.one, 0x80, 0xbf, AT.between);
  lead(AT.two, 0x80, 0xbf, AT.one);
  lead(AT.three, 0x80, 0xbf, AT.two);
  lead(AT.e0, 0xa0, 0xbf, AT.one);
  lead(AT.ed, 0x80, 0x9f, AT.one);
  lead(AT.f0, 0x90, 0xbf, AT.two);
  lead(AT.f4, 0x80, 0x8f, AT.two);
  on(AT.escape, '"\\/bfnrt', AT.between);
  on(AT.escape, "u", AT.u1);
  on(AT.u1, digits, AT.u2);
  on(AT.u1, "dD", AT.u2d);
  on(AT.u2, `${digits}dD`, AT.u3);
  on(AT.u2d, "01234567", AT.u3);
  on(AT.u3, `${digits}dD`, AT.u4);
  on(AT.u4, `${digits}dD`, AT.between);
  return next;
})();

/**
 * A string of `low` to `high` characters. A state is where in a character it is, and
 * how many are whole; beyond what matters they are not counted.
 */
export class Text implements Terminal {
  readonly tags = 1;
  readonly #low: number;
  readonly #high: number;

  /** `high` may be Infinity. */
  constructor(low: number, high: number) {
    this.#low = low;
    this.#high = high;
  }

  step(state: number, byte: number): number {
    const at = state % STATES, count = (state - at) / STATES;
    const to = NEXT[at * 256 + byte]!;
    if (to < 0 || at === AT.start) return to;
    if (at !== AT.between) {
      return count * STATES + to + (to === AT.between ? this.#more(count) : 0);
    }
    if (to === AT.end) return count < this.#low ? -1 : to;
    if (count >= this.#high) return -1;
    return count * STATES + to + (to === AT.between ? this.#more(count) : 0);
  }

  #more(count: number): number {
    return this.#high === Infinity && count >= this.#low ? 0 : STATES;
  }

  tag(state: number): number {
    return state === AT.end ? 0 : -1;
  }

  isLast(state: number): boolean {
    return state === AT.end;
  }

  key(state: number, { longest }: TokenTree): number {
    const at = state % STATES, count = (state - at) / STATES;
    const need = Math.min(Math.max(0, this.#low - count), longest + 1);
    const left = Math.min(this.#high - count, longest + 1);
    return (need * (longest + 2) + left) * STATES + at;
  }

  rests(
    [cost = 0]: readonly number[],
    { single }: TokenTree,
  ): (state: number) => number {
    const most = this.#low, whole = wholes(single);
    const quote = single[0x22] ? 1 : Infinity;
    // Any character that one token spells.
    let letter = Infinity;
    for (let byte = 0; byte < 128; byte++) {
      if (NEXT[AT.between * 256 + byte] === AT.between && single[byte]) {
        letter = 1;
      }
    }
    const close = (count: number): number =>
      quote + (count < most ? (most - count) * letter : 0) + cost;
    return (state) => {
      const at = state % STATES, count = (state - at) / STATES;
      if (at === AT.end) return cost;
      if (at === AT.start) return quote + close(0);
      if (at === AT.between) return close(count);
      return whole[at]! + close(count + 1);
    };
  }
}

/** Fewest single bytes until a character is whole, by where in it one is. */
function wholes(single: Uint8Array): Float64Array {
  const rests = new Float64Array(STATES).fill(Infinity);
  rests[AT.between] = 0;
  for (let round = 0; round < STATES; round++) {
    for (let at = AT.one; at < STATES; at++) {
      for (let byte = 0; byte < 256; byte++) {
        const to = single[byte] ? NEXT[at * 256 + byte]! : -1;
        if (to >= 0) rests[at] = Math.min(rests[at]!, rests[to]! + 1);
      }
    }
  }
  return rests;
}
