/**
 * One answer on its way through a grammar.
 *
 * @module
 */
import type { Tokenizer } from "../../models/tokenizer.ts";
import type { Machine, Spot } from "./machine.ts";
import type { Mask, Masks } from "./masks.ts";

/** A grammar for one vocabulary, ready for answers. */
export interface Rules {
  readonly tokenizer: Tokenizer;
  readonly machine: Machine;
  readonly masks: Masks;
  readonly start: Spot;
}

/**
 * Says which tokens may come next, so that the answer is whole within so many tokens:
 * at every spot one of the tokens allowed is on the shortest way to the end.
 */
export class Constraint {
  readonly #rules: Rules;
  #spot: Spot;
  /** Tokens that may still be made. */
  #left: number;
  #mask: Mask | undefined;
  #shortened = false;

  /**
   * Throws a RangeError where the shortest answer has more than `maxTokens` tokens.
   */
  constructor(rules: Rules, maxTokens: number) {
    this.#rules = rules;
    this.#spot = rules.start;
    this.#left = maxTokens;
    if (rules.start.rest > maxTokens) {
      throw new RangeError(
        `Cannot answer in "maxTokens" ${maxTokens}: an answer of the format is only sure to fit in ${rules.start.rest}; allow more`,
      );
    }
  }

  /** What may come next. */
  get mask(): Mask {
    return this.#mask ??= this.#rules.masks.within(this.#spot, this.#left - 1);
  }

  /** Goes on behind a token, one of those allowed. */
  take(token: number): void {
    const { masks, machine, tokenizer } = this.#rules;
    if (this.mask !== masks.of(this.#spot)) {
      this.#shortened ||= this.mask.count < masks.of(this.#spot).count;
    }
    this.#mask = undefined;
    this.#left--;
    if (tokenizer.eog.has(token)) return;
    for (const byte of tokenizer.bytes(token)) {
      const to = machine.step(this.#spot, byte);
      if (to === undefined) {
        throw new TypeError(`Cannot go on with token ${token}: not allowed`);
      }
      this.#spot = to;
    }
  }

  /** The answer is whole and nothing may follow. */
  get ended(): boolean {
    return this.#spot.ways.length === 0;
  }

  /** Tokens were forbidden so that the answer comes to its end in time. */
  get shortened(): boolean {
    return this.#shortened;
  }
}
