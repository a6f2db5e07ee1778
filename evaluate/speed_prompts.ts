/**
 * Prompts of an exact number of tokens, for timing.
 *
 * @module
 */

/** What prompts are drawn from; an engine's tokenizer and model have it. */
export interface PromptSource {
  readonly vocab: number;
  /** Put in front where the model wants it; counts as one of the tokens. */
  readonly bos: number | undefined;
  /** Tokens to leave out: those that end a text. */
  readonly not: ReadonlySet<number>;
}

/** Makes the next prompt: another one at each call, so no prefix is shared. */
export type NextPrompt = (tokens: number) => number[];

/**
 * Prompts of seeded random ids. The same seed gives the same prompts on every
 * machine; what a dense model computes does not depend on which tokens they are.
 */
export function createPrompts(source: PromptSource, seed = 1): NextPrompt {
  const { vocab, bos, not } = source;
  let state = seed >>> 0;
  const next = (): number => {
    // A linear congruential step; the high bits are the good ones.
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor(state / 2 ** 32 * vocab);
  };
  return (tokens) => {
    const out: number[] = bos === undefined ? [] : [bos];
    while (out.length < tokens) {
      let id = next();
      while (not.has(id) || id === bos) id = (id + 1) % vocab;
      out.push(id);
    }
    return out;
  };
}
