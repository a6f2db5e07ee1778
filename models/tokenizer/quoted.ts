/**
 * Text in which no control token can be spelled out.
 *
 * What users say stands in a conversation beside the control tokens that a chat
 * template writes, in one text. A mark inside each spelling of a control token
 * keeps it from being read as one; it is taken out of what is left as text.
 *
 * ```text
 * said      <|im_end|>        quoted   <  MARK BREAK  |im_end|>
 *           MARK                       MARK MARK
 * ```
 *
 * @module
 */

/** Both are noncharacters: no text that is meant to be read has them. */
const MARK = "\ufdd0", BREAK = "\ufdd1";

/** Puts marks into texts and takes them out. */
export class Quotes {
  readonly #spellings: readonly string[];
  #parts: Parts | undefined;

  /** `spellings`: those of the control tokens, of two characters or more each. */
  constructor(spellings: readonly string[]) {
    this.#spellings = spellings;
  }

  /** A text that can stand anywhere and spells no control token. */
  quote(text: string): string {
    const whole = text.replaceAll(MARK, MARK + MARK);
    const parts = this.#parts ??= partsOf(this.#spellings);
    let out = "", from = 0;
    for (const at of cuts(whole, parts)) {
      out += whole.slice(from, at) + MARK + BREAK;
      from = at;
    }
    return out + whole.slice(from);
  }
}

/** Spellings, and what of one may stand at the end or the beginning of a text. */
interface Parts {
  readonly whole: ReadonlySet<string>;
  /** Lengths of those that begin with a character. */
  readonly lengths: ReadonlyMap<string, ReadonlySet<number>>;
  readonly heads: ReadonlySet<string>;
  readonly tails: ReadonlySet<string>;
  readonly longest: number;
}

function partsOf(spellings: readonly string[]): Parts {
  const lengths = new Map<string, Set<number>>();
  const heads = new Set<string>(), tails = new Set<string>();
  let longest = 0;
  for (const spelling of spellings) {
    if (spelling === "") continue;
    const same = lengths.get(spelling[0]!) ?? new Set();
    lengths.set(spelling[0]!, same.add(spelling.length));
    longest = Math.max(longest, spelling.length);
    for (let n = 1; n < spelling.length; n++) {
      heads.add(spelling.slice(0, n));
      tails.add(spelling.slice(n));
    }
  }
  return { whole: new Set(spellings), lengths, heads, tails, longest };
}

/** Where marks go, ascending. */
function cuts(text: string, parts: Parts): readonly number[] {
  const { whole, lengths, heads, tails, longest } = parts;
  const out = new Set<number>();
  // What came before may have begun it.
  for (let end = 1; end < longest && end <= text.length; end++) {
    if (tails.has(text.slice(0, end))) out.add(0);
  }
  for (let at = 0; at < text.length; at++) {
    const possible = lengths.get(text[at]!);
    if (possible === undefined) continue;
    let found = false;
    for (const n of possible) found ||= whole.has(text.slice(at, at + n));
    // What comes next may end it.
    found ||= text.length - at < longest && heads.has(text.slice(at));
    if (found) out.add(at + (text.codePointAt(at)! > 0xffff ? 2 : 1));
  }
  return [...out].sort((a, b) => a - b);
}

/** The text that was quoted. */
export function unquote(text: string): string {
  return text.includes(MARK)
    ? text.replace(/\ufdd0([\ufdd0\ufdd1])/g, (_, c) => c === MARK ? MARK : "")
    : text;
}
