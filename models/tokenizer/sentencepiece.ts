/**
 * SentencePiece BPE vocabularies ("llama"): spaces are written "▁", any two
 * neighbours merge whose joint text is a token, highest score first, and
 * characters without a token fall back to bytes.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { quote } from "../gguf/quote.ts";
import type { SpacePrefix } from "../model_file.ts";
import type { Codec } from "./codec.ts";
import { createMerger, type RankOf } from "./merger.ts";
import type { Vocabulary } from "./vocabulary.ts";
import { TOKEN } from "./vocabulary.ts";

const BYTE_TOKEN = /^<0x[\dA-Fa-f]{2}>$/;

/** How a file departs from the usual. */
export interface SentencePieceOptions {
  /** When text gets a space before it. */
  readonly prefix: SpacePrefix;
  /** Whether merges are listed, as a tokenizer.json does, instead of scored. */
  readonly listed?: boolean;
}

/**
 * Makes the codec of a SentencePiece vocabulary.
 *
 * @throws {ModelError} if the file has no scores.
 */
export function sentencePieceCodec(
  vocabulary: Vocabulary,
  options: SentencePieceOptions,
): Codec {
  const { ids, tokens, kinds, path } = vocabulary;
  kinds.forEach((kind, id) => {
    if (kind !== TOKEN.BYTE || BYTE_TOKEN.test(tokens[id]!)) return;
    throw new ModelError(
      path,
      `token ${id} of the vocabulary stands for a byte and is ` +
        `${quote(tokens[id]!)}, wanted "<0x00>" to "<0xFF>"`,
    );
  });
  const merge = createMerger(rankOf(vocabulary, options));
  const unknown = kinds.indexOf(TOKEN.UNKNOWN);
  const encoder = new TextEncoder();
  const byteIds = Array.from(
    { length: 256 },
    (_, byte) => ids.get(byteToken(byte)) ?? unknown,
  );

  return {
    encode(text, first, out, start) {
      const prefix = wantsSpace(text, first, start) ? " " : "";
      for (const token of merge((prefix + text).replaceAll(" ", "▁"))) {
        const id = ids.get(token);
        if (id !== undefined) {
          out.push(id);
          continue;
        }
        for (const byte of encoder.encode(token)) {
          if (byteIds[byte]! >= 0) out.push(byteIds[byte]!);
        }
      }
    },

    bytes(token) {
      return kinds[ids.get(token) ?? -1] === TOKEN.BYTE
        ? Uint8Array.of(parseInt(token.slice(3, 5), 16))
        : encoder.encode(token.replaceAll("▁", " "));
    },
  };

  function wantsSpace(text: string, first: boolean, start: boolean): boolean {
    switch (options.prefix) {
      case "never":
        return false;
      case "each":
        return first;
      case "missing":
        return first && !/^[ ▁]/.test(text);
      case "first":
        return start && !/^[ ▁]/.test(text);
    }
  }

  /** How the vocabulary spells a byte: tokens[n] of kind 6. */
  function byteToken(byte: number): string {
    const name = `<0x${byte.toString(16).toUpperCase().padStart(2, "0")}>`;
    return ids.has(name) || byte >= 128
      ? name
      : tokens[ids.get(String.fromCharCode(byte)) ?? -1] ?? name;
  }
}

/** By the scores of what comes of a merge, or by a list of merges. */
function rankOf(
  { ids, scores, merges = [], path }: Vocabulary,
  { listed = false }: SentencePieceOptions,
): RankOf {
  if (listed) {
    // Text has no spaces left, so "left right" as stored is a key of its own.
    const ranks = new Map(merges.map((merge, rank) => [merge, rank]));
    return (left, right) => ranks.get(`${left} ${right}`);
  }
  if (scores === undefined) {
    throw new ModelError(
      path,
      `the required key "tokenizer.ggml.scores" is missing`,
    );
  }
  const ranks = ranksOf(scores);
  return (left, right) => {
    const id = ids.get(left + right);
    return id === undefined ? undefined : ranks[id];
  };
}

/**
 * Merge order of each token as whole numbers: the library adds a fraction for
 * the position, so that among equals the leftmost merges first.
 */
function ranksOf(scores: Float32Array): Float64Array {
  const whole = scores.every((s) =>
    Number.isInteger(s) && Math.abs(s) < 2 ** 31
  );
  if (whole) return Float64Array.from(scores, (score) => -score);
  // NaN sorts last and so becomes the best; make it the worst.
  const clean = scores.map((s) => Number.isNaN(s) ? -Infinity : s);
  const best = clean.toSorted().reverse();
  const rankOf = new Map<number, number>();
  for (const score of best) {
    if (!rankOf.has(score)) rankOf.set(score, rankOf.size);
  }
  return Float64Array.from(clean, (score) => rankOf.get(score)!);
}
