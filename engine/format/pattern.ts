/**
 * Regular expressions of JSON Schema, as automata over the bytes of a JSON string.
 *
 * @module
 */
import {
  ANY,
  type Characters,
  common,
  others,
  spell,
  union,
} from "./characters.ts";
import { both, type ByteDfa, without } from "./byte_dfa.ts";
import { Kept } from "./kept.ts";
import { Nfa, type Piece } from "./nfa.ts";

/** Most repetitions that are written out. */
const MOST_TIMES = 1000;

/** Makes a piece of what an expression says. */
type Make = (nfa: Nfa) => Piece;

/** What must, or must not, begin where the expression begins. */
interface Ahead {
  readonly make: Make;
  readonly wanted: boolean;
}

/** An expression that goes beyond what automata can do, or is none. */
export class PatternError extends Error {
  /** Its name. */
  override readonly name = "PatternError";
}

/**
 * The strings, without quotation marks, in which the expression is found. Of the
 * syntax with the flag "u": characters, classes, groups, alternatives, counts, "^" at
 * the start and "$" at the end; looking ahead behind the first "^" only.
 *
 * Throws a {@linkcode PatternError}, and TooLarge.
 */
export function patternDfa(source: string): ByteDfa {
  return kept.get(source, () => makeDfa(source));
}

const kept = new Kept<ByteDfa>(64);

function makeDfa(source: string): ByteDfa {
  try {
    new RegExp(source, "u");
  } catch (error) {
    throw new PatternError((error as Error).message);
  }
  const { from, to, make, ahead } = new Reader(source).whole();
  const all = (parts: (nfa: Nfa) => Piece[]): ByteDfa => {
    const nfa = new Nfa();
    return nfa.deterministic([nfa.sequence(parts(nfa))]);
  };
  const anything = (nfa: Nfa): Piece => nfa.repeated(spell(nfa, ANY));
  let dfa = all((nfa) => [
    ...(from ? [] : [anything(nfa)]),
    make(nfa),
    ...(to ? [] : [anything(nfa)]),
  ]);
  for (const { make, wanted } of ahead) {
    const begins = all((nfa) => [make(nfa), anything(nfa)]);
    dfa = wanted ? both(dfa, begins) : without(dfa, begins);
  }
  return dfa;
}

const DIGIT: Characters = [[0x30, 0x39]];
const WORD: Characters = [[0x30, 0x39], [0x41, 0x5a], [0x5f, 0x5f], [
  0x61,
  0x7a,
]];
// As ECMAScript has them: white space and ends of lines.
const SPACE: Characters = [
  [0x09, 0x0d],
  [0x20, 0x20],
  [0xa0, 0xa0],
  [0x1680, 0x1680],
  [0x2000, 0x200a],
  [0x2028, 0x2029],
  [0x202f, 0x202f],
  [0x205f, 0x205f],
  [0x3000, 0x3000],
  [0xfeff, 0xfeff],
];
const LINE_END: Characters = [[0x0a, 0x0a], [0x0d, 0x0d], [0x2028, 0x2029]];

const CLASSES: Readonly<Record<string, Characters>> = {
  d: DIGIT,
  D: others(DIGIT),
  w: WORD,
  W: others(WORD),
  s: SPACE,
  S: others(SPACE),
};

const CONTROL: Readonly<Record<string, number>> = {
  n: 10,
  r: 13,
  t: 9,
  v: 11,
  f: 12,
  0: 0,
};

/** Reads an expression that is known to be well-formed. */
class Reader {
  readonly #all: readonly string[];
  #at = 0;

  constructor(source: string) {
    this.#all = [...source];
  }

  whole(): { from: boolean; to: boolean; make: Make; ahead: Ahead[] } {
    // An anchor of one alternative would not be one of the others.
    const anchored = this.#takes("^");
    const ahead: Ahead[] = [];
    while (anchored && this.#looksAhead()) ahead.push(this.#ahead());
    const start = this.#at;
    const last = this.#all.length - 1;
    let slashes = 0;
    while (this.#all[last - 1 - slashes] === "\\") slashes++;
    const to = this.#all[last] === "$" && slashes % 2 === 0 && last >= start;
    const make = this.#either(to ? last : this.#all.length);
    if ((anchored || to) && this.#choices > 1) {
      throw new PatternError(
        'an anchor of one alternative only; write "^(?:a|b)$"',
      );
    }
    return { from: anchored, to, make, ahead };
  }

  /** Alternatives on the outside, once read. */
  #choices = 1;
  /** Where the expression ends. */
  #end = 0;

  #either(end: number): Make {
    this.#end = end;
    const parts = this.#alternatives();
    this.#choices = parts.length;
    if (this.#at < end) this.#refuse();
    return parts.length === 1
      ? parts[0]!
      : (nfa) => nfa.either(parts.map((make) => make(nfa)));
  }

  #alternatives(): Make[] {
    const parts = [this.#terms()];
    while (this.#takes("|")) parts.push(this.#terms());
    return parts;
  }

  #terms(): Make {
    const parts: Make[] = [];
    while (this.#at < this.#end && this.#peek !== "|" && this.#peek !== ")") {
      parts.push(this.#counted(this.#atom()));
    }
    return (nfa) => nfa.sequence(parts.map((make) => make(nfa)));
  }

  #counted(make: Make): Make {
    let low = 1, high = 1;
    if (this.#takes("*")) [low, high] = [0, Infinity];
    else if (this.#takes("+")) [low, high] = [1, Infinity];
    else if (this.#takes("?")) [low, high] = [0, 1];
    else if (this.#peek === "{") {
      const text = this.#until("}").slice(1);
      const [a, b] = text.split(",");
      low = Number(a);
      high = b === undefined ? low : b === "" ? Infinity : Number(b);
    } else return make;
    this.#takes("?");
    const most = high === Infinity ? low : high;
    if (most > MOST_TIMES) {
      throw new PatternError(
        `"{${low},${high}}" repeats more than ${MOST_TIMES} times`,
      );
    }
    return (nfa) => {
      const parts: Piece[] = [];
      for (let i = 0; i < low; i++) parts.push(make(nfa));
      if (high === Infinity) parts.push(nfa.repeated(make(nfa)));
      else {
        let rest: Piece | undefined;
        for (let i = low; i < high; i++) {
          const once = make(nfa);
          rest = nfa.optional(
            rest === undefined ? once : nfa.sequence([once, rest]),
          );
        }
        if (rest !== undefined) parts.push(rest);
      }
      return nfa.sequence(parts);
    };
  }

  #atom(): Make {
    const c = this.#peek!;
    if (c === "(") return this.#group();
    if (c === "[") return this.#one(this.#bracket());
    if (c === ".") {
      this.#at++;
      return this.#one(others(LINE_END));
    }
    if (c === "\\") return this.#one(this.#escape());
    if (c === "^" || c === "$") this.#refuse();
    this.#at++;
    return this.#one(single(c.codePointAt(0)!));
  }

  #one(characters: Characters): Make {
    return (nfa) => spell(nfa, characters);
  }

  #group(): Make {
    this.#at++;
    if (this.#takes("?")) {
      if (this.#takes("<")) {
        if (this.#peek === "=" || this.#peek === "!") this.#refuse();
        this.#until(">");
      } else if (!this.#takes(":")) this.#refuse();
    }
    const parts = this.#alternatives();
    this.#at++;
    return (nfa) => nfa.either(parts.map((make) => make(nfa)));
  }

  #looksAhead(): boolean {
    const text = this.#all.slice(this.#at, this.#at + 3).join("");
    return text === "(?=" || text === "(?!";
  }

  #ahead(): Ahead {
    const wanted = this.#all[this.#at + 2] === "=";
    this.#at += 3;
    this.#end = this.#all.length;
    const parts = this.#alternatives().map((make): Make => make);
    this.#at++;
    return {
      wanted,
      make: (nfa) => nfa.either(parts.map((make) => make(nfa))),
    };
  }

  #bracket(): Characters {
    this.#at++;
    const negated = this.#takes("^");
    let runs: Characters = [];
    while (this.#peek !== "]") {
      const low = this.#member();
      const first = low[0]![0];
      const isRange = this.#peek === "-" && this.#all[this.#at + 1] !== "]" &&
        low.length === 1 && low[0]![1] === first;
      if (!isRange) {
        runs = [...runs, ...low];
        continue;
      }
      this.#at++;
      const high = this.#member();
      runs = [...runs, [first, high[0]![0]]];
    }
    this.#at++;
    const all = union(runs);
    return negated ? others(all) : common(all, ANY);
  }

  #member(): Characters {
    if (this.#peek === "\\") return this.#escape(true);
    return single(this.#all[this.#at++]!.codePointAt(0)!);
  }

  #escape(within = false): Characters {
    const start = this.#at++;
    const c = this.#all[this.#at++]!;
    if (c in CLASSES) return CLASSES[c]!;
    if (c in CONTROL) return single(CONTROL[c]!);
    if (within && c === "b") return single(8);
    if (c === "x") return single(this.#hex(2));
    if (c === "c") return single(this.#all[this.#at++]!.charCodeAt(0) % 32);
    if (c === "u") {
      if (this.#peek === "{") {
        return single(parseInt(this.#until("}").slice(1), 16));
      }
      const unit = this.#hex(4);
      if (unit < 0xd800 || unit > 0xdfff) return single(unit);
      this.#at += 2;
      return single(
        String.fromCharCode(unit, this.#hex(4)).codePointAt(0)!,
      );
    }
    if (/[\^$\\.*+?()[\]{}|/-]/.test(c)) return single(c.codePointAt(0)!);
    this.#at = start;
    return this.#refuse();
  }

  #hex(digits: number): number {
    const text = this.#all.slice(this.#at, this.#at += digits).join("");
    return parseInt(text, 16);
  }

  get #peek(): string | undefined {
    return this.#all[this.#at];
  }

  #takes(c: string): boolean {
    if (this.#peek !== c) return false;
    this.#at++;
    return true;
  }

  /** Text up to `c`, and past it. */
  #until(c: string): string {
    const end = this.#all.indexOf(c, this.#at);
    const text = this.#all.slice(this.#at, end).join("");
    this.#at = end + 1;
    return text;
  }

  #refuse(): never {
    const text = this.#all.slice(this.#at, this.#at + 4).join("");
    throw new PatternError(
      `"${text}" at character ${this.#at} cannot be kept to: ` +
        'characters, classes, groups, counts, "^" first and "$" last can',
    );
  }
}

function single(c: number): Characters {
  return [[c, c]];
}
