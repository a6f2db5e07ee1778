/**
 * Objects that a schema asks for.
 *
 * @module
 */
import type { Builder } from "./builder.ts";
import { both, type ByteDfa, reads, without } from "./byte_dfa.ts";
import type { Place } from "./grammar.ts";
import { Nfa, type Piece } from "./nfa.ts";
import { type Part, refuse, type Shape } from "./shape.ts";
import { anyBody, attempt, bodiesOf, bodyBytes, bodyOf } from "./strings.ts";

/** Most properties beside those with names, where they are counted. */
const MOST_EXTRAS = 1000;

/** A property with a name. */
interface Named {
  readonly name: string;
  readonly parts: readonly Part[];
  readonly required: boolean;
}

/** Properties beside those with names. */
interface Extras {
  readonly parts: readonly Part[];
  /** What their names are, between quotation marks. */
  readonly names: ByteDfa;
  readonly least: number;
  readonly most: number;
}

/**
 * Lets objects of a shape follow: properties with names in the order in which they are
 * written, those that are not required or left out; then others, where there may be.
 *
 * ```text
 *  place ─ {"a":  ─▶ value ─▶ behind a ─ ,"b": ─▶ value ─▶ behind b ─ } ─▶ end
 *       ├─ {"b":  ─▶ value ─▶ behind b             └─ } ─▶ end
 *       └─ {}     ─▶ end
 * ```
 */
export function objectOf(builder: Builder, place: Place, shape: Shape): void {
  const named = namedOf(builder, shape);
  if (named === undefined) return;
  const extras = extrasOf(builder, shape, named);
  if (extras === undefined) return;
  fill(builder, shape.path, place, named, extras);
}

/** Undefined where no object can be valid. */
function namedOf(builder: Builder, shape: Shape): Named[] | undefined {
  const { path, properties = new Map(), required = [] } = shape;
  const all = new Map<string, readonly Part[]>(properties);
  for (const name of required) {
    const parts = shape.additional ?? [{ schema: true, path }];
    if (!all.has(name)) all.set(name, parts);
  }
  const wanted = new Set(required);
  const names = namesOf(builder, shape);
  let named = [...all].map(([name, parts]) => ({
    name,
    parts,
    required: wanted.has(name),
  }));
  if (names !== undefined) {
    const fits = (n: Named): boolean => reads(names, bodyBytes(n.name));
    if (named.some((n) => n.required && !fits(n))) return undefined;
    named = named.filter(fits);
  }
  const { maxProperties: most = Infinity, minProperties: least = 0 } = shape;
  if (named.filter((n) => n.required).length > most) return undefined;
  // The ones that are left out are valid ones.
  if (named.length > most) named = fewer(named, most);
  return named.length === least
    ? named.map((n) => ({ ...n, required: true }))
    : named;
}

/** The first so many, all required ones among them. */
function fewer(named: readonly Named[], most: number): Named[] {
  let spare = most - named.filter((n) => n.required).length;
  return named.filter((n) => n.required || spare-- > 0);
}

/** What names have to be; undefined for anything. */
function namesOf(builder: Builder, { names }: Shape): ByteDfa | undefined {
  let all: ByteDfa | undefined;
  for (const part of names ?? []) {
    const nfa = new Nfa();
    const pieces: Piece[] = builder.alternatives.of(part)
      .flatMap((shape) => {
        if (shape.values !== undefined) {
          const texts = shape.values.filter((v) => typeof v === "string");
          return [nfa.automaton(bodiesOf(texts))];
        }
        const fits = shape.types?.includes("string") ?? true;
        return fits ? [nfa.automaton(bodyOf(shape))] : [];
      });
    const one = attempt(
      part.path,
      () => nfa.deterministic([nfa.either(pieces)]),
    );
    all = all === undefined ? one : attempt(part.path, () => both(all!, one));
  }
  return all;
}

/** Undefined where no object can be valid. */
function extrasOf(
  builder: Builder,
  shape: Shape,
  named: readonly Named[],
): Extras | undefined {
  const { path, additional, properties } = shape;
  // Where nothing is said of any, an object of any kind is meant.
  const open = additional !== undefined ||
    (properties === undefined && named.length === 0);
  const parts = additional ?? [{ schema: true, path }];
  const none = parts.some(({ schema }) => schema === false);
  const { maxProperties = Infinity, minProperties = 0 } = shape;
  const required = named.filter((n) => n.required).length;
  const most = open && !none ? maxProperties - named.length : 0;
  const least = Math.max(0, minProperties - required);
  if (least > 0 && most === 0 && named.length < minProperties) return undefined;
  // Names may be the same; of one property more it is certain that it is one more.
  if (least > 1 || (least === 1 && most < 1)) {
    refuse(
      path,
      "minProperties",
      `up to ${
        required + (most > 0 ? 1 : 0)
      } can be kept to, got ${minProperties}; require more of them`,
    );
  }
  const any = (): ByteDfa => namesOf(builder, shape) ?? anyBody();
  const own = named.map((n) => n.name);
  const names = most <= 0
    ? bodiesOf([])
    : own.length === 0
    ? any()
    : attempt(path, () => without(any(), bodiesOf(own)));
  return { parts, names, least, most: names.size === 0 ? 0 : most };
}

function fill(
  builder: Builder,
  path: string,
  place: Place,
  named: readonly Named[],
  extras: Extras,
): void {
  const { grammar } = builder, count = named.length;
  const counted = Number.isFinite(extras.most)
    ? Math.min(extras.most, MOST_EXTRAS)
    : Math.max(extras.least, 1);
  const places = new Map<string, Place>();
  const waiting: (() => void)[] = [];
  /** Behind the first `next` of the named ones, and `more` others. */
  const behind = (next: number, more: number): Place => {
    const key = `${next} ${more}`;
    let at = places.get(key);
    if (at === undefined) {
      places.set(key, at = builder.newPlace(path));
      const to = at;
      waiting.push(() => goOn(to, next, more, false));
    }
    return at;
  };
  const goOn = (at: Place, next: number, more: number, first: boolean) => {
    const nfa = new Nfa(), pieces: Piece[] = [];
    const then: (Place | undefined)[] = [];
    const follows = (name: Piece, parts: readonly Part[], to: Place): void => {
      const value = builder.newPlace(path);
      grammar.call(value, builder.place(parts), to);
      pieces.push(keyed(nfa, name, first));
      then.push(value);
    };
    let last = next;
    for (; last < count; last++) {
      const { name, parts, required } = named[last]!;
      const piece = nfa.literal(bodyBytes(name));
      follows(piece, parts, behind(last + 1, 0));
      if (required) break;
    }
    if (last === count) {
      const { most, least, names, parts } = extras;
      if (more < Math.min(most, MOST_EXTRAS) || most === Infinity) {
        const to = behind(count, Math.min(more + 1, counted));
        follows(nfa.automaton(names), parts, to);
      }
      if (more >= least) {
        pieces.push(nfa.literal(new TextEncoder().encode(first ? "{}" : "}")));
        then.push(undefined);
      }
    }
    const dfa = attempt(path, () => nfa.deterministic(pieces));
    const terminal = builder.automaton(dfa, path);
    if (terminal !== undefined) grammar.read(at, terminal, then);
  };
  goOn(place, 0, 0, true);
  // Not one within the other: there may be hundreds.
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    next();
  }
}

/** A name with all that stands around it. */
function keyed(nfa: Nfa, name: Piece, first: boolean): Piece {
  const space = (): Piece => nfa.optional(nfa.literal([0x20]));
  const before = first ? [nfa.literal([0x7b])] : [nfa.literal([0x2c]), space()];
  const quote = (): Piece => nfa.literal([0x22]);
  return nfa.sequence([
    ...before,
    ...[quote(), name, quote(), nfa.literal([0x3a]), space()],
  ]);
}
