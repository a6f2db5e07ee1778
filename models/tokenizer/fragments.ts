/**
 * Text cut at the special tokens in it.
 *
 * @module
 */
import type { StripWords } from "../model_file.ts";
import { TOKEN, type Vocabulary } from "./vocabulary.ts";

/** A token found whole, or text still to be encoded. */
export type Fragment = number | string;

/**
 * Finds special tokens in text: longest first, and of one token the leftmost
 * occurrences first, whatever that leaves of shorter ones.
 */
export class SpecialTokens {
  readonly #vocabulary: Vocabulary;
  readonly #all: Finder;
  readonly #userDefined: Finder;

  constructor(vocabulary: Vocabulary) {
    this.#vocabulary = vocabulary;
    const all: number[] = [], userDefined: number[] = [];
    vocabulary.kinds.forEach((kind, id) => {
      if (vocabulary.tokens[id] === "") return;
      if (
        kind === TOKEN.CONTROL || kind === TOKEN.UNKNOWN || kind === TOKEN.USER
      ) all.push(id);
      if (kind === TOKEN.USER) userDefined.push(id);
    });
    this.#all = new Finder(vocabulary.tokens, all);
    this.#userDefined = new Finder(vocabulary.tokens, userDefined);
  }

  /**
   * @param special Whether control tokens count too; user-defined ones always do.
   * @returns Fragments in order, no text among them empty.
   */
  split(text: string, special: boolean): Fragment[] {
    const finder = special ? this.#all : this.#userDefined;
    let fragments: Fragment[] = text === "" ? [] : [text];
    for (const id of finder.idsIn(text)) {
      const token = this.#vocabulary.tokens[id]!;
      fragments = fragments.flatMap((fragment) =>
        typeof fragment === "string" ? cut(fragment, token, id) : [fragment]
      );
    }
    return this.#vocabulary.strips === undefined
      ? fragments
      : strip(fragments, this.#vocabulary.strips);
  }
}

/** Takes white space away beside the tokens that want it. */
function strip(
  fragments: readonly Fragment[],
  { left, right }: StripWords,
): Fragment[] {
  return fragments.map((fragment, i) => {
    if (typeof fragment === "number") return fragment;
    const before = fragments[i - 1], after = fragments[i + 1];
    const text = typeof before === "number" && right.has(before)
      ? fragment.replace(/^\p{White_Space}+/u, "")
      : fragment;
    return typeof after === "number" && left.has(after)
      ? text.replace(/(?<!\p{White_Space})\p{White_Space}+$/u, "")
      : text;
  }).filter((fragment) => fragment !== "");
}

function cut(text: string, token: string, id: number): Fragment[] {
  const out: Fragment[] = [];
  let from = 0;
  for (
    let at;
    (at = text.indexOf(token, from)) >= 0;
    from = at + token.length
  ) {
    if (at > from) out.push(text.slice(from, at));
    out.push(id);
  }
  if (from < text.length) out.push(text.slice(from));
  return out;
}

/** Which of thousands of tokens occur in a text, in one pass over it. */
class Finder {
  readonly #tokens: readonly string[];
  readonly #ids = new Map<string, number>();
  /** Lengths of the tokens that begin with a UTF-16 unit. */
  readonly #lengths = new Map<number, Set<number>>();

  constructor(tokens: readonly string[], ids: readonly number[]) {
    this.#tokens = tokens;
    for (const id of ids) {
      const token = tokens[id]!;
      this.#ids.set(token, id);
      const first = token.charCodeAt(0);
      const lengths = this.#lengths.get(first);
      if (lengths === undefined) {
        this.#lengths.set(first, new Set([token.length]));
      } else lengths.add(token.length);
    }
  }

  /** Tokens that occur in `text`, longest (in UTF-8 bytes) first. */
  idsIn(text: string): number[] {
    const found = new Set<number>();
    for (let at = 0; at < text.length; at++) {
      const lengths = this.#lengths.get(text.charCodeAt(at));
      if (lengths === undefined) continue;
      for (const length of lengths) {
        const id = this.#ids.get(text.slice(at, at + length));
        if (id !== undefined) found.add(id);
      }
    }
    const encoder = new TextEncoder();
    const bytes = (id: number) => encoder.encode(this.#tokens[id]!).length;
    return [...found].map((id) => ({ id, bytes: bytes(id) }))
      .sort((a, b) => b.bytes - a.bytes || a.id - b.id)
      .map(({ id }) => id);
  }
}
