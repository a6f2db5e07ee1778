/**
 * Texts in which a key is hidden, to be asked for at the end.
 *
 * ```text
 *  intro  filler filler … filler  needle  filler … filler  question | key
 *         ◀──── depth ───▶                                            answer
 * ```
 * "passkey" fills with the same five sentences over and over (Mohtashami and Jaggi,
 * "Landmark attention", 2023), "needle" with those of a text.
 *
 * @module
 */
import { seeded } from "../engine/random.ts";
import type { Tokenizer } from "../models/tokenizer.ts";

/** What fills a text: sentences, used in turn. */
export interface Filler {
  readonly name: string;
  readonly sentences: readonly string[];
}

/** The filler of the passkey task. */
export const PASSKEY: Filler = {
  name: "passkey",
  sentences: [
    "The grass is green.",
    "The sky is blue.",
    "The sun is yellow.",
    "Here we go.",
    "There and back again.",
  ],
};

const INTRO =
  "There is an important info hidden inside a lot of irrelevant text. " +
  "Find it and memorize it. I will quiz you about the important information there.";
const QUESTION = "What is the pass key? The pass key is";

/** Shortest sentence of a text that fills, characters: no headings, no leftovers. */
const SHORTEST = 20;

/**
 * The sentences of a text as filler, headings and other short pieces left out.
 *
 * @throws {RangeError} for a text without any.
 */
export function needleFiller(text: string): Filler {
  const sentences = (text.match(/[^.!?\n]+[.!?]/g) ?? [])
    .map((s) => s.trim())
    .filter((s) => s.length >= SHORTEST);
  if (sentences.length === 0) {
    throw new RangeError(
      `Cannot hide a needle in a text of ${text.length} characters: it has no sentences, pass another`,
    );
  }
  return { name: "needle", sentences };
}

/** Where and what to hide. */
export interface HaystackOptions {
  readonly filler: Filler;
  /** Most tokens, the key at the end included. */
  readonly tokens: number;
  /** How much of the filler is before the needle, 0 to 1. */
  readonly depth: number;
  /** Same seed, same text. It chooses the key and the first sentence. */
  readonly seed: number;
}

/** A text with a hidden key. */
export interface Haystack {
  /** Five digits. */
  readonly key: string;
  /** Up to the question. */
  readonly prompt: readonly number[];
  /** The key, as it would follow the prompt. */
  readonly answer: readonly number[];
}

/** What `buildHaystack()` needs of a tokenizer. */
export type HaystackTokenizer = Pick<Tokenizer, "addBos" | "bos" | "encode">;

/**
 * Builds the longest text that fits.
 *
 * @throws {RangeError} for a depth outside 0 to 1, or no room for a sentence.
 */
export function buildHaystack(
  tokenizer: HaystackTokenizer,
  { filler, tokens, depth, seed }: HaystackOptions,
): Haystack {
  if (!(depth >= 0 && depth <= 1)) {
    throw new RangeError(
      `Cannot hide a key at depth ${depth}: a number from 0 to 1 is wanted`,
    );
  }
  const random = seeded(seed), { sentences } = filler;
  const key = `${10_000 + Math.floor(90_000 * random())}`;
  // Sentences that repeat stay in their order.
  const first = filler === PASSKEY
    ? 0
    : Math.floor(sentences.length * random());
  const needle = `The pass key is ${key}. Remember it. ${key} is the pass key.`;
  const encode = (text: string): number[] =>
    tokenizer.encode(text, { bos: tokenizer.addBos });
  const build = (count: number): string => {
    const hay = Array.from(
      { length: count },
      (_, i) => sentences[(first + i) % sentences.length]!,
    );
    hay.splice(placeOf(hay, depth), 0, needle);
    return [INTRO, ...hay, QUESTION].join(" ");
  };
  const whole = (text: string): number[] => encode(`${text} ${key}`);
  const fits = (count: number): boolean => whole(build(count)).length <= tokens;
  if (!fits(1)) {
    throw new RangeError(
      `Cannot hide a key in ${tokens} tokens: ${
        whole(build(1)).length
      } are wanted for one sentence of filler, pass a larger length`,
    );
  }
  let low = 1, high = 2;
  while (fits(high)) [low, high] = [high, 2 * high];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (fits(middle)) low = middle;
    else high = middle;
  }
  const text = build(low), prompt = encode(text), all = whole(text);
  // A tokenizer may join the end of the question with the key.
  const same = prompt.findIndex((id, i) => id !== all[i]);
  const end = same < 0 ? prompt.length : same;
  return { key, prompt: all.slice(0, end), answer: all.slice(end) };
}

/** The sentence before which a share of all characters has passed. */
function placeOf(hay: readonly string[], depth: number): number {
  const wanted = depth * hay.reduce((sum, s) => sum + s.length, 0);
  let passed = 0, place = 0;
  while (place < hay.length && passed + hay[place]!.length / 2 <= wanted) {
    passed += hay[place++]!.length;
  }
  return place;
}
