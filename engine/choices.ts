/**
 * Several answers to one prompt: how many, and their parts as one stream.
 *
 * @module
 */
import type { Generation } from "./generation.ts";
import type { GenerateOptions, GeneratePart } from "./options.ts";

/** Most answers, or hypotheses, of one request. */
const MOST = 64;

/** How many answers are made, and how many of them given. */
export interface Choices {
  readonly n: number;
  readonly made: number;
  /** Hypotheses of a beam search; 0 samples instead. */
  readonly beams: number;
}

/** Checks the options. Throws a RangeError, or a TypeError for a contradiction. */
export function choicesOf(options: GenerateOptions): Choices {
  const { n = 1, bestOf = n, beams = 0 } = options;
  const whole = (name: string, value: number, low: number): void => {
    if (Number.isInteger(value) && value >= low && value <= MOST) return;
    throw new RangeError(
      `Cannot generate with "${name}" ${value}: a whole number from ${low} to ${MOST} is wanted`,
    );
  };
  whole("n", n, 1);
  whole("bestOf", bestOf, n);
  if (options.beams === undefined) {
    for (const name of ["lengthPenalty", "earlyStopping"] as const) {
      if (options[name] === undefined) continue;
      throw new TypeError(
        `Cannot generate with "${name}" alone: it is for beam search, set "beams"`,
      );
    }
    return { n, made: bestOf, beams };
  }
  whole("beams", beams, n);
  const against = ALONE.find(([name, neutral]) => {
    const value = options[name];
    return value !== undefined && value !== neutral &&
      (typeof value !== "object" || Object.keys(value).length > 0);
  })?.[0];
  if (against !== undefined) {
    throw new TypeError(
      `Cannot generate with "beams" and "${against}": beam search takes the likeliest, leave one of them out`,
    );
  }
  return { n, made: n, beams };
}

/** Options that beam search has no place for, and what they may be all the same. */
const ALONE = [
  ["bestOf", undefined],
  ["temperature", 0],
  ["repetitionPenalty", 1],
  ["presencePenalty", 0],
  ["frequencyPenalty", 0],
  ["logitBias", undefined],
  ["stop", undefined],
  ["logprobs", undefined],
  ["format", undefined],
] as const;

/** Lets a reader sleep until one of several writers wakes it. */
export class Bell {
  #ring: (() => void) | undefined;

  /** Wakes the reader. */
  readonly ring = (): void => this.#ring?.();

  /** Resolves at the next ring. */
  async wait(): Promise<void> {
    await new Promise<void>((resolve) => this.#ring = resolve);
    this.#ring = undefined;
  }
}

/**
 * The parts of all of them, as they come. Nothing comes after `signal`, not even
 * what was made before.
 */
export async function* readAll(
  generations: readonly Generation[],
  bell: Bell,
  signal: AbortSignal | undefined,
): AsyncGenerator<GeneratePart> {
  for (;;) {
    let read = false, left = false;
    for (const g of generations) {
      const part = signal?.aborted && !g.over ? undefined : g.next();
      if (part !== undefined) {
        read = true;
        yield part;
      }
      left ||= !g.finished;
    }
    if (!left) return;
    if (!read) await bell.wait();
  }
}

/** The best `n`, each whole, when all of them are done. */
export async function* readBest(
  generations: readonly Generation[],
  n: number,
  bell: Bell,
): AsyncGenerator<GeneratePart> {
  while (generations.some((g) => !g.over)) {
    // One that failed is the end of all of them.
    for (const g of generations) if (g.failed) g.next();
    await bell.wait();
  }
  const parts = generations.map((g) => ({ part: g.next()!, score: g.score }));
  const best = parts.toSorted((a, b) => b.score - a.score).slice(0, n);
  for (const [index, { part }] of best.entries()) yield { ...part, index };
}
