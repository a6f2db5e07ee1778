/**
 * Speculative decoding by prompt lookup: what followed the last tokens when they
 * occurred before is guessed to follow them again.
 *
 * No second model: the guesses are read off the text so far, and one step checks
 * them all. What is sampled is what would have been sampled without them.
 * Method: Saxena, "Prompt Lookup Decoding", 2023.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";

/** Settings of `promptLookup()`. */
export interface PromptLookupOptions {
  /** Fewest tokens that have to have occurred before. Default 3. */
  readonly ngram?: number;
  /** Most tokens guessed at once. Default 15: with the one before, four tiles of rows. */
  readonly most?: number;
}

/** Matches longer than this are as good as any. */
const LONG = 32;

/**
 * Guesses tokens from the text so far. A guess is as long as the match it stands
 * on: wrong ones cost little, and repetition soon brings long ones.
 *
 * ```ts ignore
 * await load("smollm2", { plugins: [pagedAttention(), promptLookup()] });
 * ```
 *
 * @throws {RangeError} for an option out of bounds.
 */
export function promptLookup(options: PromptLookupOptions = {}): Plugin {
  const { ngram = 3, most = 15 } = options;
  within("ngram", ngram, LONG);
  within("most", most, 63);
  return {
    name: "prompt-lookup",
    setup: (host) =>
      host.provide("draft", {
        id: `prompt-lookup/${ngram}`,
        most,
        propose: (tokens, length, room) =>
          propose(tokens, length, Math.min(room, most), ngram),
      }),
  };
}

function within(name: string, value: number, most: number): void {
  if (Number.isInteger(value) && value >= 1 && value <= most) return;
  throw new RangeError(
    `Cannot look up prompts with "${name}" ${value}: a whole number from 1 to ${most} is wanted`,
  );
}

/** Copies what followed the longest match, the latest of equal ones. */
function propose(
  tokens: Int32Array,
  length: number,
  room: number,
  ngram: number,
): number {
  const last = tokens[length - 1];
  let longest = 0;
  let from = 0;
  for (let end = length - 2; end >= ngram - 1 && longest < LONG; end--) {
    if (tokens[end] !== last) continue;
    let n = 1;
    while (
      n < LONG && n <= end && tokens[end - n] === tokens[length - 1 - n]
    ) n++;
    if (n <= longest) continue;
    longest = n;
    from = end + 1;
  }
  if (longest < ngram) return 0;
  const count = Math.min(room, longest);
  // The match may overlap what is written: it then repeats, as the text would.
  for (let i = 0; i < count; i++) tokens[length + i] = tokens[from + i]!;
  return count;
}
