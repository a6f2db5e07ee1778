/**
 * Arrays that a schema asks for.
 *
 * @module
 */
import type { Builder } from "./builder.ts";
import type { Place } from "./grammar.ts";
import { Nfa } from "./nfa.ts";
import { type Part, refuse, type Shape } from "./shape.ts";
import type { Automaton } from "./terminal.ts";

/** Most items that are counted; bounds above are taken for this one. */
const MOST_ITEMS = 2000;

/**
 * Lets arrays of a shape follow.
 *
 * ```text
 *  place ─ [ ─▶ opened ─ ] ─▶ end             counts[n]: n items are there
 *                 └─ item ─▶ counts[1] ─ ] ─▶ end
 *                               └─ , ─▶ item ─▶ counts[2] …
 * ```
 */
export function arrayOf(builder: Builder, place: Place, shape: Shape): void {
  const { grammar } = builder, { path, prefix = [], minItems = 0 } = shape;
  const most = Math.min(shape.maxItems ?? Infinity, mostOf(shape));
  if (minItems > MOST_ITEMS) {
    refuse(path, "minItems", `up to ${MOST_ITEMS} can be kept to`);
  }
  if (minItems > most) return;
  const end = bytes(builder, "]"), more = either(builder, path);
  const part = (n: number): readonly Part[] =>
    prefix[n] ?? shape.items ?? [{ schema: true, path }];
  /** Behind so many items nothing changes any more. */
  const alike = Math.max(prefix.length, minItems, most < Infinity ? most : 0);
  const counts: (Place | undefined)[] = [];
  const capped = Math.min(most, alike > MOST_ITEMS ? MOST_ITEMS : most);
  const behind = (n: number): Place => {
    const at = Math.min(n, Math.min(alike, MOST_ITEMS));
    const known = counts[at];
    if (known !== undefined) return known;
    const counted = counts[at] = builder.newPlace(path);
    const goesOn = n < capped, ends = n >= minItems;
    if (goesOn) {
      const item = builder.newPlace(path);
      if (ends) grammar.read(counted, more, [undefined, item]);
      else grammar.read(counted, bytes(builder, ", "), [item]);
      waiting.push([item, n]);
    } else grammar.read(counted, end, [undefined]);
    return counted;
  };
  const waiting: [Place, number][] = [];
  const opened = builder.newPlace(path);
  grammar.read(place, bytes(builder, "["), [opened]);
  if (minItems === 0) grammar.read(opened, end, [undefined]);
  if (most > 0) waiting.push([opened, 0]);
  // Not one within the other: there may be thousands.
  for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
    const [at, n] = next;
    grammar.call(at, builder.place(part(n)), behind(n + 1));
  }
}

/** Most items that there can be, by which items there may not be. */
function mostOf({ prefix = [], items = [] }: Shape): number {
  return items.some(({ schema }) => schema === false)
    ? prefix.length
    : Infinity;
}

/** A text; a space at its end may be left out. */
function bytes(builder: Builder, text: string): Automaton {
  const nfa = new Nfa(), code = new TextEncoder().encode(text.trimEnd());
  const pieces = [nfa.literal(code)];
  if (text.endsWith(" ")) pieces.push(nfa.optional(nfa.literal([0x20])));
  const dfa = nfa.deterministic([nfa.sequence(pieces)]);
  return builder.automaton(dfa, "#")!;
}

/** The end of an array, or what stands before one more item. */
function either(builder: Builder, path: string): Automaton {
  const nfa = new Nfa();
  const comma = nfa.sequence([
    nfa.literal([0x2c]),
    nfa.optional(nfa.literal([0x20])),
  ]);
  const dfa = nfa.deterministic([nfa.literal([0x5d]), comma]);
  return builder.automaton(dfa, path)!;
}
