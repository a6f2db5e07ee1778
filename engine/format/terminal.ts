/**
 * What a grammar is made of at the bottom: automata that read bytes.
 *
 * @module
 */
import { type ByteDfa, stepOf } from "./byte_dfa.ts";
import type { TokenTree } from "./token_tree.ts";

/** Reads some bytes. States are whole numbers from 0, the start. */
export interface Terminal {
  /** The state behind a byte, -1 for none. */
  step(state: number, byte: number): number;
  /** What was read if it ends here, -1 where it does not. */
  tag(state: number): number;
  /** Whether no byte may follow. */
  isLast(state: number): boolean;
  /** How many kinds of ends there are. */
  readonly tags: number;
  /**
   * Fewest tokens to an end, `costs[tag]` after it counted in, of every state that is
   * small; Infinity where there is none.
   */
  rests(costs: readonly number[], tree: TokenTree): (state: number) => number;
  /** States with the same key let the same tokens pass, as far as they do not end. */
  key(state: number, tree: TokenTree): number;
}

/** A terminal that an automaton is. */
export class Automaton implements Terminal {
  readonly tags: number;
  readonly #dfa: ByteDfa;
  /** States behind each state by whole tokens, where that is worth finding. */
  #leaps: readonly (readonly number[])[] | undefined;
  /** Whether all states lead to later ones only. */
  readonly #forward: boolean;

  /** Throws a RangeError where the automaton reads nothing. */
  constructor(dfa: ByteDfa) {
    if (dfa.size === 0) throw new RangeError("Cannot read nothing at all");
    this.#dfa = dfa;
    this.tags = Math.max(...dfa.tags) + 1;
    this.#forward = isForward(dfa);
  }

  step(state: number, byte: number): number {
    return stepOf(this.#dfa, state, byte);
  }

  tag(state: number): number {
    return this.#dfa.tags[state]!;
  }

  isLast(state: number): boolean {
    const { next, width } = this.#dfa, from = state * width;
    for (let c = 0; c < width; c++) if (next[from + c]! >= 0) return false;
    return true;
  }

  key(state: number): number {
    return state;
  }

  rests(costs: readonly number[], tree: TokenTree): (state: number) => number {
    const { size, tags } = this.#dfa;
    const leaps = this.#leaps ??= this.#forward
      ? this.#tokens(tree)
      : this.#bytes(tree);
    const rests = Float64Array.from(
      tags,
      (tag) => tag < 0 ? Infinity : costs[tag]!,
    );
    // From the end on; once is enough where states lead to later ones only.
    for (let changed = true; changed;) {
      changed = false;
      for (let s = size - 1; s >= 0; s--) {
        for (const to of leaps[s]!) {
          if (rests[to]! + 1 >= rests[s]!) continue;
          rests[s] = rests[to]! + 1;
          changed = !this.#forward;
        }
      }
    }
    return (state) => rests[state]!;
  }

  #bytes({ single }: TokenTree): number[][] {
    const { size, width, classes, next } = this.#dfa;
    const usable = new Uint8Array(width);
    classes.forEach((c, byte) => usable[c]! |= single[byte]!);
    return Array.from({ length: size }, (_, s) => {
      const to: number[] = [];
      for (let c = 0; c < width; c++) {
        const at = usable[c] ? next[s * width + c]! : -1;
        if (at >= 0 && at !== s && at !== to.at(-1)) to.push(at);
      }
      return to;
    });
  }

  #tokens({ bytes, depths, ends, firsts }: TokenTree): number[][] {
    const path = new Int32Array(257);
    return Array.from({ length: this.#dfa.size }, (_, s) => {
      const to = new Set<number>();
      path[0] = s;
      for (let node = 1; node < bytes.length;) {
        const depth = depths[node]!;
        const next = stepOf(this.#dfa, path[depth - 1]!, bytes[node]!);
        if (next < 0) {
          node = ends[node]!;
          continue;
        }
        path[depth] = next;
        if (firsts[node + 1]! > firsts[node]!) to.add(next);
        node++;
      }
      return [...to];
    });
  }
}

function isForward({ size, width, next }: ByteDfa): boolean {
  for (let s = 0; s < size; s++) {
    for (let c = 0; c < width; c++) {
      const to = next[s * width + c]!;
      if (to >= 0 && to <= s) return false;
    }
  }
  return true;
}
