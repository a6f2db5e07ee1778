/**
 * Grammars: places from which some things may follow, each of which leads to a place.
 *
 * @module
 */
import type { Terminal } from "./terminal.ts";
import type { TokenTree } from "./token_tree.ts";

/**
 * Something that may follow: a terminal, or all that begins at another place. `then`:
 * where to go on behind it, by the terminal's tag; undefined where what it belongs to
 * is at its end.
 */
export interface Option {
  readonly id: number;
  readonly terminal: Terminal | undefined;
  readonly place: Place | undefined;
  readonly then: readonly (Place | undefined)[];
  /** Of a terminal: fewest tokens from its state to the end of what it belongs to. */
  rest: (state: number) => number;
  /** What was behind its ends when `rest` was found. */
  costs: readonly number[];
}

/**
 * Where something begins. What begins at the place of `{"a": …}`:
 *
 * ```text
 *  place ── {"a":  ──▶ place ── value ──▶ place ── } ──▶ end
 *        └─ {}  ──▶ end
 * ```
 */
export interface Place {
  readonly options: Option[];
  /** Fewest tokens to the end of what it belongs to; Infinity: there is none. */
  rest: number;
}

/** Places and options, one grammar's. */
export class Grammar {
  readonly #places: Place[] = [];
  #options = 0;

  /** A place from which nothing follows yet. */
  place(): Place {
    const place: Place = { options: [], rest: Infinity };
    this.#places.push(place);
    return place;
  }

  /** How many places there are. */
  get size(): number {
    return this.#places.length;
  }

  /** Lets a terminal follow. */
  read(
    at: Place,
    terminal: Terminal,
    then: readonly (Place | undefined)[],
  ): void {
    this.#add(at, terminal, undefined, then);
  }

  /** Lets all that begins at `place` follow. */
  call(at: Place, place: Place, then?: Place): void {
    this.#add(at, undefined, place, [then]);
  }

  #add(
    at: Place,
    terminal: Terminal | undefined,
    place: Place | undefined,
    then: readonly (Place | undefined)[],
  ): void {
    const rest = (): number => Infinity;
    const id = this.#options++;
    at.options.push({ id, terminal, place, then, rest, costs: [] });
  }

  /**
   * Finds how many tokens every end is away, and leaves out what has none. For once,
   * when all is there.
   */
  measure(tree: TokenTree): void {
    for (let changed = true; changed;) {
      changed = false;
      // What is made last is mostly what others are made of.
      for (let i = this.#places.length - 1; i >= 0; i--) {
        const place = this.#places[i]!;
        let rest = Infinity;
        for (const option of place.options) {
          rest = Math.min(rest, measured(option, tree));
        }
        if (rest < place.rest) {
          place.rest = rest;
          changed = true;
        }
      }
    }
  }
}

/** Fewest tokens of an option and all behind it. */
function measured(option: Option, tree: TokenTree): number {
  const { terminal, place, then } = option;
  const costs = then.map((to) => to === undefined ? 0 : to.rest);
  if (terminal === undefined) return place!.rest + costs[0]!;
  if (costs.every((cost) => cost === Infinity)) return Infinity;
  if (costs.some((cost, tag) => cost !== option.costs[tag])) {
    option.costs = costs;
    option.rest = terminal.rests(costs, tree);
  }
  return option.rest(0);
}
