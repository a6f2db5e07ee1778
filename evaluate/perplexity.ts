/**
 * How well a model foretells a text, counted as llama.cpp's perplexity tool does.
 *
 * ```text
 *  tokens   │ chunk 0        │ chunk 1        │ …      the text in one piece
 *           │ BOS  …   │ ███ │ BOS  …   │ ███ │        BOS only where the model wants it
 *                       scored: rows size/2 … size - 2, each for the token after it
 * ```
 *
 * @module
 */
import type { Tokenizer } from "../models/tokenizer.ts";

/** Tokens of a chunk, and which of its rows are scored. */
export interface Chunk {
  readonly ids: readonly number[];
  /** First row scored; each row is for the next token, so the last has none. */
  readonly from: number;
}

/** A text cut into chunks. */
export interface Chunks {
  readonly chunks: readonly Chunk[];
  /** How many the whole text has. */
  readonly whole: number;
}

/** What `cutChunks()` needs of a tokenizer. */
export type ChunkTokenizer = Pick<Tokenizer, "encode" | "bos" | "addBos">;

/**
 * Cuts a text into chunks of `size` tokens; what is left at the end is not used.
 *
 * @param most Most chunks. Default: all.
 * @throws {RangeError} for a size below 4, or a text shorter than one chunk.
 */
export function cutChunks(
  tokenizer: ChunkTokenizer,
  text: string,
  size: number,
  most = Infinity,
): Chunks {
  if (!Number.isInteger(size) || size < 4) {
    throw new RangeError(
      `Cannot cut a text into chunks of ${size} tokens: a whole number from 4 is wanted`,
    );
  }
  const { bos, addBos } = tokenizer;
  const ids = tokenizer.encode(text, { bos: addBos });
  const whole = Math.floor(ids.length / size);
  if (whole === 0) {
    throw new RangeError(
      `Cannot cut a text of ${ids.length} tokens into chunks of ${size}: pass a longer text or a smaller size`,
    );
  }
  const chunks: Chunk[] = [];
  for (let i = 0; i < Math.min(whole, most); i++) {
    const chunk = ids.slice(i * size, (i + 1) * size);
    if (addBos && bos !== undefined) chunk[0] = bos;
    chunks.push({ ids: chunk, from: size >> 1 });
  }
  return { chunks, whole };
}

/** A mean and its standard error. */
export interface Estimate {
  readonly value: number;
  readonly error: number;
}

/** Mean of values as they come, with its standard error. */
export class Mean {
  #n = 0;
  #mean = 0;
  #squares = 0;

  /** Takes a value. */
  add(value: number): void {
    // Welford: no difference of large sums.
    const before = value - this.#mean;
    this.#mean += before / ++this.#n;
    this.#squares += before * (value - this.#mean);
  }

  /** How many values there were. */
  get count(): number {
    return this.#n;
  }

  /** NaN for no values; the error is NaN below two. */
  get estimate(): Estimate {
    const variance = this.#squares / (this.#n - 1);
    return {
      value: this.#n === 0 ? NaN : this.#mean,
      error: Math.sqrt(variance / this.#n),
    };
  }
}

/** Perplexity of tokens by their log-probabilities. */
export class Perplexity {
  readonly #mean = new Mean();

  /** Takes the natural log-probability of the token that came. */
  add(logProbability: number): void {
    this.#mean.add(-logProbability);
  }

  /** Tokens scored. */
  get count(): number {
    return this.#mean.count;
  }

  /** exp of the mean negative log-probability; the error by its slope. */
  get estimate(): Estimate {
    const { value, error } = this.#mean.estimate;
    return { value: Math.exp(value), error: Math.exp(value) * error };
  }
}
