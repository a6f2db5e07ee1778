/**
 * Sets of characters, and how a JSON text spells them in bytes.
 *
 * @module
 */
import type { ByteDfa } from "./byte_dfa.ts";
import { Kept } from "./kept.ts";
import { Nfa, type Piece } from "./nfa.ts";

/** First and last code points of runs, ascending, none touching the next. */
export type Characters = readonly (readonly [number, number])[];

/** Every character: code points that stand for themselves in UTF-8. */
export const ANY: Characters = [[0, 0xd7ff], [0xe000, 0x10ffff]];

/** Puts runs in order, and together where they touch. */
export function union(runs: Characters): Characters {
  const out: [number, number][] = [];
  for (const [low, high] of [...runs].sort((a, b) => a[0] - b[0])) {
    const last = out.at(-1);
    if (last !== undefined && low <= last[1] + 1) {
      last[1] = Math.max(last[1], high);
    } else out.push([low, high]);
  }
  return out;
}

/** What both have. */
export function common(a: Characters, b: Characters): Characters {
  return a.flatMap(([low, high]) =>
    b.flatMap(([l, h]): [number, number][] => {
      const from = Math.max(low, l), to = Math.min(high, h);
      return from <= to ? [[from, to]] : [];
    })
  );
}

/** Every character that is not among them. */
export function others(of: Characters): Characters {
  const gaps: [number, number][] = [];
  let next = 0;
  for (const [low, high] of union(of)) {
    if (low > next) gaps.push([next, low - 1]);
    next = high + 1;
  }
  if (next <= 0x10ffff) gaps.push([next, 0x10ffff]);
  return common(gaps, ANY);
}

/** Control characters, quotation mark and backslash: a JSON text has them escaped. */
const ESCAPED: Characters = [[0, 0x1f], [0x22, 0x22], [0x5c, 0x5c]];

const spelled = new Kept<ByteDfa>(100);

/** Their one spelling within a JSON string: escaped where it must be, UTF-8 else. */
export function spell(nfa: Nfa, characters: Characters): Piece {
  const dfa = spelled.get(characters.join(), () => {
    const own = new Nfa();
    return own.deterministic([spellAll(own, characters)]);
  });
  return nfa.automaton(dfa);
}

function spellAll(nfa: Nfa, characters: Characters): Piece {
  const from = nfa.state(), to = nfa.state();
  for (const [low, high] of common(characters, ESCAPED)) {
    for (let c = low; c <= high; c++) {
      const text = JSON.stringify(String.fromCharCode(c)).slice(1, -1);
      const piece = nfa.literal(new TextEncoder().encode(text));
      nfa.free(from, piece.from);
      nfa.free(piece.to, to);
    }
  }
  for (const [low, high] of common(characters, others(ESCAPED))) {
    encode(nfa, low, high, from, to);
  }
  return { from, to };
}

/** Last code points of one, two, three and four bytes. */
const LENGTHS = [0x7f, 0x7ff, 0xffff, 0x10ffff];

/** The UTF-8 of a run. */
function encode(
  nfa: Nfa,
  low: number,
  high: number,
  from: number,
  to: number,
): void {
  let start = low;
  for (const [more, last] of LENGTHS.entries()) {
    if (start > high) return;
    if (start > last) continue;
    cut(nfa, start, Math.min(high, last), more, from, to);
    start = last + 1;
  }
}

/** Of a run of so many bytes behind the first: the parts whose last bytes are all alike. */
function cut(
  nfa: Nfa,
  low: number,
  high: number,
  more: number,
  from: number,
  to: number,
): void {
  for (let n = 1; n <= more; n++) {
    const mask = (1 << (6 * n)) - 1;
    if ((low & ~mask) === (high & ~mask)) continue;
    if ((low & mask) !== 0) {
      cut(nfa, low, low | mask, more, from, to);
      cut(nfa, (low | mask) + 1, high, more, from, to);
      return;
    }
    if ((high & mask) !== mask) {
      cut(nfa, low, (high & ~mask) - 1, more, from, to);
      cut(nfa, high & ~mask, high, more, from, to);
      return;
    }
  }
  const first = new TextEncoder().encode(String.fromCodePoint(low));
  const last = new TextEncoder().encode(String.fromCodePoint(high));
  let at = from;
  first.forEach((byte, i) => {
    const next = i === more ? to : nfa.state();
    nfa.edge(at, byte, last[i]!, next);
    at = next;
  });
}
