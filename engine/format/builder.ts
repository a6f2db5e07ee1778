/**
 * From a JSON Schema to a grammar of the texts it accepts.
 *
 * @module
 */
import { Alternatives } from "./alternatives.ts";
import { accepts } from "./accepts.ts";
import { arrayOf } from "./arrays.ts";
import type { ByteDfa } from "./byte_dfa.ts";
import {
  ANY_NUMBER,
  MOST_MULTIPLE,
  numberDfa,
  type NumberRange,
} from "./decimals.ts";
import { Grammar, type Place } from "./grammar.ts";
import { Nfa } from "./nfa.ts";
import { objectOf } from "./objects.ts";
import {
  meant,
  type Part,
  refuse,
  type Shape,
  together,
  type Type,
  TYPES,
} from "./shape.ts";
import { attempt, bodyOf, isPlain } from "./strings.ts";
import { Automaton } from "./terminal.ts";
import { Text } from "./text.ts";

/** Most places of a grammar. */
const MOST_PLACES = 20_000;

/** Most states of all automata of a grammar. */
const MOST_STATES = 400_000;

/** Puts a grammar together. */
export class Builder {
  readonly grammar: Grammar = new Grammar();
  readonly alternatives: Alternatives;
  /** By the text of a schema: equal ones are one place, so that some may recur. */
  readonly #places = new Map<string, Place>();
  readonly #texts = new Map<string, Text>();
  readonly #numbers = new Map<string, Automaton | undefined>();
  #states = 0;

  constructor(root: unknown) {
    this.alternatives = new Alternatives(root);
  }

  /** Where a value of a schema begins. Throws a FormatError. */
  place(parts: readonly Part[]): Place {
    const part = together(parts), key = JSON.stringify(part.schema);
    let place = this.#places.get(key);
    if (place === undefined) {
      this.#places.set(key, place = this.newPlace(part.path));
      for (const shape of this.alternatives.of(part)) this.#add(place, shape);
    }
    return place;
  }

  /** A place from which nothing follows yet. Throws a FormatError for too many. */
  newPlace(path: string): Place {
    if (this.grammar.size === MOST_PLACES) {
      refuse(path, "", `more than ${MOST_PLACES} places come of the schema`);
    }
    return this.grammar.place();
  }

  /** An automaton as a terminal; undefined where it reads nothing. */
  automaton(dfa: ByteDfa, path: string): Automaton | undefined {
    if ((this.#states += dfa.size) > MOST_STATES) {
      refuse(path, "", `more than ${MOST_STATES} states come of the schema`);
    }
    return dfa.size === 0 ? undefined : new Automaton(dfa);
  }

  #add(place: Place, shape: Shape): void {
    if (shape.values !== undefined) return this.#values(place, shape);
    const types = shape.types ?? meant(shape);
    for (const type of TYPES) {
      if (types.includes(type)) this.#type(place, shape, type);
    }
  }

  #type(place: Place, shape: Shape, type: Type): void {
    switch (type) {
      case "object":
        return objectOf(this, place, shape);
      case "array":
        return arrayOf(this, place, shape);
      case "string":
        return this.#string(place, shape);
      case "number":
        return this.#number(place, shape, false);
      case "integer":
        // Every number is there already.
        if (shape.types?.includes("number") ?? true) return;
        return this.#number(place, shape, true);
      case "boolean":
        return this.#literals(place, [true, false], shape.path);
      case "null":
        return this.#literals(place, [null], shape.path);
    }
  }

  /** Values that are spelled out, as far as the rest of the schema has them. */
  #values(place: Place, shape: Shape): void {
    const values = shape.values!.filter((value) => {
      const is = accepts(shape, value);
      if (is !== undefined) return is;
      return refuse(
        shape.path,
        "",
        `whether ${
          JSON.stringify(value)
        } has what is asked for besides cannot be said; leave that out`,
      );
    });
    if (values.length > 0) this.#literals(place, values, shape.path);
  }

  #literals(place: Place, values: readonly unknown[], path: string): void {
    const nfa = new Nfa(), encoder = new TextEncoder();
    const pieces = values.map((value) =>
      nfa.literal(encoder.encode(JSON.stringify(value)))
    );
    const dfa = attempt(path, () => nfa.deterministic([nfa.either(pieces)]));
    this.grammar.read(place, this.automaton(dfa, path)!, [undefined]);
  }

  #string(place: Place, shape: Shape): void {
    const { path, minLength = 0, maxLength = Infinity } = shape;
    if (minLength > maxLength) return;
    if (isPlain(shape)) {
      const key = `${minLength} ${maxLength}`;
      let text = this.#texts.get(key);
      if (text === undefined) {
        this.#texts.set(key, text = new Text(minLength, maxLength));
      }
      this.grammar.read(place, text, [undefined]);
      return;
    }
    const nfa = new Nfa(), body = nfa.automaton(bodyOf(shape));
    const all = [nfa.literal([0x22]), body, nfa.literal([0x22])];
    const terminal = this.automaton(
      attempt(path, () => nfa.deterministic([nfa.sequence(all)])),
      path,
    );
    if (terminal !== undefined) this.grammar.read(place, terminal, [undefined]);
  }

  #number(place: Place, shape: Shape, whole: boolean): void {
    const range = rangeOf(shape, whole),
      key = JSON.stringify(range) +
        `${range.low} ${range.high}`;
    if (!this.#numbers.has(key)) {
      const dfa = attempt(shape.path, () => numberDfa(range));
      this.#numbers.set(key, this.automaton(dfa, shape.path));
    }
    const terminal = this.#numbers.get(key);
    if (terminal !== undefined) this.grammar.read(place, terminal, [undefined]);
  }
}

function rangeOf(shape: Shape, whole: boolean): NumberRange {
  const { minimum = -Infinity, maximum = Infinity } = shape;
  const { exclusiveMinimum: above = -Infinity } = shape;
  const { exclusiveMaximum: below = Infinity, multipleOf: by = 1 } = shape;
  if (!Number.isInteger(by) || by > MOST_MULTIPLE) {
    // Of fractions, validators do not agree what is a multiple.
    refuse(
      shape.path,
      "multipleOf",
      `whole numbers from 1 to ${MOST_MULTIPLE} can be kept to, got ${by}`,
    );
  }
  return {
    ...ANY_NUMBER,
    low: Math.max(minimum, above),
    high: Math.min(maximum, below),
    aboveLow: above >= minimum && above > -Infinity,
    belowHigh: below <= maximum && below < Infinity,
    whole: whole || shape.multipleOf !== undefined,
    multiple: by,
  };
}

/** The grammar of a schema: where it begins. Throws a FormatError. */
export function buildGrammar(
  schema: unknown,
): { readonly grammar: Grammar; readonly root: Place } {
  const builder = new Builder(schema);
  const root = builder.place([{ schema, path: "#" }]);
  return { grammar: builder.grammar, root };
}
