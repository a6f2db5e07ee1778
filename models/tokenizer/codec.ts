/**
 * What a kind of vocabulary does with text: the two ends of a tokenizer.
 *
 * @module
 */

/** Encodes text between special tokens, and spells normal tokens as bytes. */
export interface Codec {
  /**
   * Appends the ids of a text without special tokens.
   *
   * @param first Whether it begins the input or follows a special token.
   * @param start Whether it begins the input.
   */
  encode(text: string, first: boolean, out: number[], start: boolean): void;
  /** The UTF-8 bytes of a normal token, which may be part of a character. */
  bytes(token: string): Uint8Array;
}
