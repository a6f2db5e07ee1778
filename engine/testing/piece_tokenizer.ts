/**
 * A vocabulary of given pieces, for what looks at tokens' bytes alone.
 *
 * @module
 */
import type { Tokenizer } from "../../models/tokenizer.ts";
import { PIECES } from "./json_engine.ts";

/** Every byte, and pieces of JSON; characters stand for bytes. */
export const ALL_PIECES: readonly string[] = [
  ...Array.from({ length: 256 }, (_, byte) => String.fromCharCode(byte)),
  ...PIECES,
];

/** Tokens of these pieces, then one that is no text, then one that ends a text. */
export function pieceTokenizer(pieces: readonly string[]): Tokenizer {
  const count = pieces.length;
  const tokens = [...pieces, "{}", "{}"].map((piece) =>
    Uint8Array.from(piece, (c) => c.charCodeAt(0))
  );
  const unused = (): never => {
    throw new TypeError("Cannot do that: only tokens are looked at");
  };
  return {
    vocab: tokens.length,
    bos: undefined,
    eos: count + 1,
    eog: new Set([count + 1]),
    addBos: false,
    chatTemplate: undefined,
    encode: unused,
    quote: unused,
    decode: unused,
    createDecoder: unused,
    bytes: (id) => tokens[id]!,
    isText: (id) => id < count,
  };
}
