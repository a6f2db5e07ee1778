/**
 * Strings that a schema asks for, as automata.
 *
 * @module
 */
import { both, type ByteDfa, TooLarge } from "./byte_dfa.ts";
import { Nfa } from "./nfa.ts";
import { patternDfa, PatternError } from "./pattern.ts";
import { refuse, type Shape } from "./shape.ts";
import { formatNames, formatPattern } from "./string_formats.ts";

/** Longest string whose length is bounded beside a pattern, characters. */
const MOST_LENGTH = 1000;

/** Between the quotation marks, any string. */
export function anyBody(): ByteDfa {
  return patternDfa("");
}

/** Exactly these strings. */
export function bodiesOf(texts: readonly string[]): ByteDfa {
  const nfa = new Nfa();
  const pieces = texts.map((text) => nfa.literal(bodyBytes(text)));
  return nfa.deterministic([nfa.either(pieces)]);
}

/** The bytes of a string between its quotation marks. */
export function bodyBytes(text: string): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(text).slice(1, -1));
}

/** Whether there is more to strings of the shape than their length. */
export function isPlain({ patterns, formats }: Shape): boolean {
  return patterns === undefined && formats === undefined;
}

/**
 * What strings of a shape are between the quotation marks. Throws a FormatError for
 * what cannot be kept to.
 */
export function bodyOf(shape: Shape): ByteDfa {
  const { path, minLength = 0, maxLength = Infinity } = shape;
  let dfa: ByteDfa | undefined;
  const and = (other: ByteDfa): void => {
    dfa = dfa === undefined ? other : both(dfa, other);
  };
  for (const part of shape.patterns ?? []) {
    attempt(part.path, () => and(patternDfa(part.schema as string)));
  }
  for (const part of shape.formats ?? []) {
    const pattern = formatPattern(part.schema as string);
    if (pattern === undefined) {
      refuse(
        part.path,
        "",
        `"${part.schema}" is none of ${formatNames().join(", ")}`,
      );
    }
    attempt(part.path, () => and(patternDfa(pattern)));
  }
  if (minLength > 0 || maxLength < Infinity) {
    const name = maxLength < Infinity ? "maxLength" : "minLength";
    const most = maxLength < Infinity ? maxLength : minLength;
    if (most > MOST_LENGTH) {
      refuse(
        path,
        name,
        `beside a pattern lengths up to ${MOST_LENGTH} can be kept to`,
      );
    }
    const high = maxLength < Infinity ? maxLength : "";
    const pattern = `^[^]{${minLength},${high}}$`;
    attempt(path, () => and(patternDfa(pattern)));
  }
  return dfa ?? anyBody();
}

/** Says where it is that an expression goes too far. */
export function attempt<T>(path: string, make: () => T): T {
  try {
    return make();
  } catch (error) {
    if (error instanceof PatternError) refuse(path, "", error.message);
    if (error instanceof TooLarge) {
      refuse(path, "", "it makes an automaton of too many states");
    }
    throw error;
  }
}
