/**
 * Automata put together from pieces, then made deterministic.
 *
 * @module
 */
import { type ByteDfa, explore, stepOf, TooLarge } from "./byte_dfa.ts";

/** Most states before they are made deterministic. */
const MOST = 200_000;

/** A piece: where it begins, and where it ends. */
export interface Piece {
  readonly from: number;
  readonly to: number;
}

/** States with edges for ranges of bytes, and such that need none. */
export class Nfa {
  /** Triples first byte, last byte, state; by state. */
  readonly #edges: number[][] = [];
  readonly #free: number[][] = [];

  /** A new state. Throws {@linkcode TooLarge}. */
  state(): number {
    if (this.#free.length === MOST) throw new TooLarge();
    this.#edges.push([]);
    return this.#free.push([]) - 1;
  }

  /** Leads from one state to another by a byte from `low` to `high`. */
  edge(from: number, low: number, high: number, to: number): void {
    this.#edges[from]!.push(low, high, to);
  }

  /** Leads there by nothing. */
  free(from: number, to: number): void {
    this.#free[from]!.push(to);
  }

  /** Reads exactly these bytes. */
  literal(bytes: Iterable<number>): Piece {
    const from = this.state();
    let to = from;
    for (const byte of bytes) {
      const next = this.state();
      this.edge(to, byte, byte, next);
      to = next;
    }
    return { from, to };
  }

  /** One after the other. */
  sequence(pieces: readonly Piece[]): Piece {
    const from = this.state();
    let to = from;
    for (const piece of pieces) {
      this.free(to, piece.from);
      to = piece.to;
    }
    return { from, to };
  }

  /** One of them. */
  either(pieces: readonly Piece[]): Piece {
    const from = this.state(), to = this.state();
    for (const piece of pieces) {
      this.free(from, piece.from);
      this.free(piece.to, to);
    }
    return { from, to };
  }

  /** It, or nothing. */
  optional(piece: Piece): Piece {
    const nothing = this.sequence([]);
    return this.either([piece, nothing]);
  }

  /** It, as often as it likes, or not at all. */
  repeated(piece: Piece): Piece {
    const at = this.state();
    this.free(at, piece.from);
    this.free(piece.to, at);
    return { from: at, to: at };
  }

  /** What an automaton reads; of its tags nothing stays. */
  automaton(dfa: ByteDfa): Piece {
    const to = this.state();
    const states = Array.from({ length: dfa.size }, () => this.state());
    states.forEach((state, s) => {
      if (dfa.tags[s]! >= 0) this.free(state, to);
      for (let low = 0; low < 256;) {
        const next = stepOf(dfa, s, low);
        let high = low;
        while (high < 255 && stepOf(dfa, s, high + 1) === next) high++;
        if (next >= 0) this.edge(state, low, high, states[next]!);
        low = high + 1;
      }
    });
    return { from: states[0] ?? this.state(), to };
  }

  /**
   * Makes it deterministic. `ends[tag]`: the pieces that may be read; where several
   * are, the first one's tag counts. Throws {@linkcode TooLarge}.
   */
  deterministic(pieces: readonly Piece[]): ByteDfa {
    const tagOf = new Map(pieces.map((piece, tag) => [piece.to, tag]));
    const closed = (states: readonly number[]): number[] => {
      const seen = new Set(states), queue = [...states];
      for (let s = queue.pop(); s !== undefined; s = queue.pop()) {
        for (const to of this.#free[s]!) {
          if (seen.has(to)) continue;
          seen.add(to);
          queue.push(to);
        }
      }
      return [...seen].sort((a, b) => a - b);
    };
    // By state of the result: what each byte leads to, found at once.
    const rows = new Map<number[], (number[] | undefined)[]>();
    const rowOf = (states: number[]): (number[] | undefined)[] => {
      const known = rows.get(states);
      if (known !== undefined) return known;
      const row = new Array<number[] | undefined>(256).fill(undefined);
      const sets = new Map<string, number[]>();
      const cuts = new Set<number>([0]);
      for (const s of states) {
        const edges = this.#edges[s]!;
        for (let i = 0; i < edges.length; i += 3) {
          cuts.add(edges[i]!);
          cuts.add(edges[i + 1]! + 1);
        }
      }
      const starts = [...cuts].filter((c) => c < 256).sort((a, b) => a - b);
      starts.forEach((low, k) => {
        const to: number[] = [];
        for (const s of states) {
          const edges = this.#edges[s]!;
          for (let i = 0; i < edges.length; i += 3) {
            if (low >= edges[i]! && low <= edges[i + 1]!) {
              to.push(edges[i + 2]!);
            }
          }
        }
        if (to.length === 0) return;
        const name = to.join();
        let set = sets.get(name);
        if (set === undefined) sets.set(name, set = closed(to));
        row.fill(set, low, starts[k + 1] ?? 256);
      });
      rows.set(states, row);
      return row;
    };
    return explore<number[]>({
      start: closed(pieces.map((p) => p.from)),
      key: (states) => states.join(),
      step: (states, byte) => rowOf(states)[byte],
      tag: (states) => {
        let tag = -1;
        for (const s of states) {
          const t = tagOf.get(s);
          if (t !== undefined && (tag < 0 || t < tag)) tag = t;
        }
        return tag;
      },
    });
  }
}
