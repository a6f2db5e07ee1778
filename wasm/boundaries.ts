/**
 * Steps that run a part of the layers: the words that a step program looks at between
 * records, and what is written to them before a step.
 *
 * ```text
 *  of each layer   0 action     what its Boundary does with the rows
 *                  1 query      where to go on instead of computing queries
 *                  2 rest       where to go on once K and V are stored
 *                  3 hold       where to go on instead of giving its slot back
 *                  4 stop       the end, to compute nothing from this layer on
 *  behind them     0 start      where to go on once angles are there
 * ```
 * Words that say where to go on are 0 where nothing is left out.
 *
 * @module
 */
import type { HiddenBatch, SweepBatch } from "../core/backend.ts";

/** Words of a layer; see the drawing. */
export const LAYER_WORD = { action: 0, query: 1, rest: 2, hold: 3, stop: 4 };

/** How many each layer has. */
const LAYER_WORDS = 5;

/** What a Boundary does; assembly/boundary.ts. */
export const ACTION = { keep: 1, inject: 2 } as const;

/** Bytes of the words of so many layers. */
export function partWordBytes(layers: number): number {
  return (layers * LAYER_WORDS + 1) * 4;
}

/** Address of a layer's word, from that of the first. */
export function layerWord(
  base: number,
  layer: number,
  word: keyof typeof LAYER_WORD,
): number {
  return base + (layer * LAYER_WORDS + LAYER_WORD[word]) * 4;
}

/** Address of the word for where to start. */
export function startWord(base: number, layers: number): number {
  return base + layers * LAYER_WORDS * 4;
}

/**
 * Layers at which a step may begin or end where some are streamed: one of those is
 * between two edges, so that it stays while the next is being read.
 */
export function edgesOf(
  streamed: readonly number[],
  layers: number,
): readonly number[] {
  return streamed.length === 0 ? [] : [0, ...streamed.slice(1), layers];
}

/** Addresses of records that a step may go on at, by layer. */
export interface Targets {
  /** Behind the product that makes queries. */
  readonly query: number[];
  /** Behind all that follows K and V. */
  readonly rest: number[];
  /** Behind the record that gives its slot back; 0 where it has none. */
  readonly hold: number[];
  /** Its first record. */
  readonly first: number[];
  /** The end of the program. */
  end: number;
}

/** No targets yet. */
export function noTargets(): Targets {
  return { query: [], rest: [], hold: [], first: [], end: 0 };
}

/** Writes a step's words. */
export class LayerParts {
  readonly #words: Int32Array;
  readonly #targets: Targets;
  readonly #layers: number;

  /** `words`: as laid out above, for `layers` layers. */
  constructor(words: Int32Array, targets: Targets, layers: number) {
    this.#words = words;
    this.#targets = targets;
    this.#layers = layers;
  }

  /**
   * `ends`: nobody wants what the last layer adds to the rows, so that its K and V are
   * enough.
   */
  prepare(
    hidden: HiddenBatch | undefined,
    sweep: SweepBatch | undefined,
    ends: boolean,
  ): void {
    this.#words.fill(0);
    if (ends) this.#onlyKv(this.#layers - 1);
    if (sweep !== undefined) this.#sweep(sweep);
    if (hidden === undefined || hidden.mode === "none") return;
    for (const layer of hidden.boundaries) {
      this.#set(layer, "action", ACTION[hidden.mode]);
      if (hidden.mode === "inject") this.#onlyKv(layer - 1);
    }
  }

  #sweep({ from, to, stays }: SweepBatch): void {
    const { first, hold, end } = this.#targets;
    if (from > 0) this.#words[this.#layers * LAYER_WORDS] = first[from]!;
    if (to < this.#layers) this.#set(to, "stop", end);
    for (let layer = from; stays && layer < to; layer++) {
      this.#set(layer, "hold", hold[layer]!);
    }
  }

  #onlyKv(layer: number): void {
    this.#set(layer, "query", this.#targets.query[layer]!);
    this.#set(layer, "rest", this.#targets.rest[layer]!);
  }

  #set(layer: number, word: keyof typeof LAYER_WORD, value: number): void {
    this.#words[layer * LAYER_WORDS + LAYER_WORD[word]] = value;
  }
}
