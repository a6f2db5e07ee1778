/**
 * Byte-level BPE vocabularies ("gpt2"): every byte is a printable character,
 * merges are listed in the file.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { Codec } from "./codec.ts";
import { createMerger } from "./merger.ts";
import { createPreTokenizer, type PreTokenizerKind } from "./pre_tokenizers.ts";
import type { Vocabulary } from "./vocabulary.ts";

/**
 * Makes the codec of a byte-level vocabulary.
 *
 * @throws {ModelError} if the file lists no merges.
 */
export function byteLevelCodec(
  vocabulary: Vocabulary,
  kind: PreTokenizerKind,
): Codec {
  const { ids, merges, path } = vocabulary;
  if (merges === undefined) {
    throw new ModelError(
      path,
      `the required key "tokenizer.ggml.merges" is missing`,
    );
  }
  // Tokens hold no spaces, so "left right" as stored is a key of its own.
  const ranks = new Map<string, number>();
  merges.forEach((merge, rank) => ranks.set(merge, rank));
  const merge = createMerger((left, right) => ranks.get(`${left} ${right}`));
  const words = createPreTokenizer(kind);

  return {
    encode(text, _first, out) {
      for (const word of words(text)) {
        const whole = kind.ignoreMerges ? ids.get(word) : undefined;
        if (whole !== undefined) {
          out.push(whole);
          continue;
        }
        for (const token of merge(word)) {
          const id = ids.get(token);
          if (id !== undefined) out.push(id);
          else pushCharacters(token, ids, out);
        }
      }
    },

    bytes(token) {
      const out: number[] = [];
      for (const char of token) {
        const byte = BYTE_OF.get(char);
        if (byte !== undefined) out.push(byte);
        else out.push(...new TextEncoder().encode(char));
      }
      return Uint8Array.from(out);
    },
  };
}

/** A merged word that is no token falls apart; what is no token is left out. */
function pushCharacters(
  word: string,
  ids: ReadonlyMap<string, number>,
  out: number[],
): void {
  for (const char of word) {
    const id = char < "\x80" ? ids.get(char) : undefined;
    if (id !== undefined) out.push(id);
  }
}

/**
 * Byte of each stand-in character: printable Latin-1 stands for itself, the
 * others are counted up from U+0100.
 */
const BYTE_OF: ReadonlyMap<string, number> = (() => {
  const map = new Map<string, number>();
  let next = 0x100;
  for (let byte = 0; byte < 256; byte++) {
    const printable = byte > 0x20 && byte < 0x7f ||
      byte > 0xa0 && byte !== 0xad;
    map.set(String.fromCharCode(printable ? byte : next++), byte);
  }
  return map;
})();
