/**
 * Text to tokens and back, from a model file's own vocabulary.
 *
 * @module
 */
import { ModelError } from "../core/errors.ts";
import { show } from "./gguf/quote.ts";
import type { ModelFile } from "./model_file.ts";
import { byteLevelCodec } from "./tokenizer/byte_level.ts";
import type { Codec } from "./tokenizer/codec.ts";
import { SpecialTokens } from "./tokenizer/fragments.ts";
import { preTokenizerKind } from "./tokenizer/pre_tokenizers.ts";
import { sentencePieceCodec } from "./tokenizer/sentencepiece.ts";
import {
  TOKEN,
  type Vocabulary,
  vocabularyOf,
} from "./tokenizer/vocabulary.ts";

/** How `encode()` treats special tokens. */
export interface EncodeOptions {
  /** Whether control tokens spelled out in the text become those tokens; default false. */
  readonly special?: boolean;
  /** Whether to put the BOS token in front; default false. See `addBos`. */
  readonly bos?: boolean;
}

/** Turns tokens into text one by one. */
export interface TokenDecoder {
  /** The text that `id` completes; "" while a character is still in pieces. */
  push(id: number): string;
  /** What is left: "", or U+FFFD for a character that was never completed. */
  end(): string;
}

/** The tokenizer of one model. */
export interface Tokenizer {
  /** Number of tokens. */
  readonly vocab: number;
  /** Token that begins a sequence, where the vocabulary has one. */
  readonly bos: number | undefined;
  /** The token the file calls the end of a sequence. */
  readonly eos: number | undefined;
  /** Every token that ends a generation: end of sequence, of turn, of message. */
  readonly eog: ReadonlySet<number>;
  /** Whether the model was trained to see `bos` in front. */
  readonly addBos: boolean;
  /** The Jinja template for conversations, where the file has one. */
  readonly chatTemplate: string | undefined;
  /**
   * Ids of a text.
   *
   * @throws {TypeError} if `bos` is asked for and there is none.
   */
  encode(text: string, options?: EncodeOptions): number[];
  /**
   * Text of ids, special tokens as their own text, no spaces tidied away.
   * Bytes that are no UTF-8 become U+FFFD.
   *
   * @throws {RangeError} for an id outside the vocabulary.
   */
  decode(ids: Iterable<number>): string;
  /** A decoder for tokens as they are made, that never emits half a character. */
  createDecoder(): TokenDecoder;
  /** Bytes of one token, which may be part of a character; do not write to them. */
  bytes(id: number): Uint8Array;
}

/**
 * Makes the tokenizer of an opened model.
 *
 * ```ts
 * const tokenizer = createTokenizer(await openGguf("model.gguf"));
 * tokenizer.decode(tokenizer.encode("Hello")); // "Hello"
 * ```
 *
 * @throws {ModelError} if the file has no tokenizer or one of an unknown kind.
 */
export function createTokenizer(file: ModelFile): Tokenizer {
  const vocabulary = vocabularyOf(file);
  const { metadata } = file;
  const model = metadata["tokenizer.ggml.model"];
  const flag = (name: string, absent: boolean): boolean => {
    const key = `tokenizer.ggml.${name}`, value = metadata[key] ?? absent;
    if (typeof value === "boolean" || value === 0 || value === 1) {
      return Boolean(value);
    }
    throw new ModelError(
      file.path,
      `"${key}" is ${show(value)}, wanted true or false`,
    );
  };
  const template = metadata["tokenizer.chat_template"];
  if (template !== undefined && typeof template !== "string") {
    throw new ModelError(
      file.path,
      `"tokenizer.chat_template" is ${show(template)}, wanted a text`,
    );
  }
  const common = { chatTemplate: template };
  if (model === "gpt2") {
    const kind = file.vocabulary?.cuts ??
      preTokenizerKind(file.path, metadata["tokenizer.ggml.pre"]);
    return new VocabularyTokenizer(vocabulary, {
      ...common,
      codec: byteLevelCodec(vocabulary, kind),
      addBos: flag("add_bos_token", kind.addBos ?? false),
    });
  }
  if (model === "llama") {
    const { prefix } = file.vocabulary!;
    return new VocabularyTokenizer(vocabulary, {
      ...common,
      codec: sentencePieceCodec(vocabulary, {
        prefix: prefix ??
          (flag("add_space_prefix", true) ? "each" : "never"),
        listed: prefix !== undefined,
      }),
      addBos: flag("add_bos_token", true),
    });
  }
  throw new ModelError(
    file.path,
    `"tokenizer.ggml.model" is ${show(model)}, ` +
      `wanted "gpt2" (byte-level BPE) or "llama" (SentencePiece BPE)`,
  );
}

interface Parts {
  readonly codec: Codec;
  readonly addBos: boolean;
  readonly chatTemplate: string | undefined;
}

class VocabularyTokenizer implements Tokenizer {
  readonly vocab: number;
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  readonly eog: ReadonlySet<number>;
  readonly addBos: boolean;
  readonly chatTemplate: string | undefined;
  readonly #vocabulary: Vocabulary;
  readonly #codec: Codec;
  readonly #special: SpecialTokens;
  readonly #bytes = new Map<number, Uint8Array>();

  constructor(vocabulary: Vocabulary, parts: Parts) {
    this.vocab = vocabulary.tokens.length;
    this.bos = vocabulary.bos;
    this.eos = vocabulary.eos;
    this.eog = vocabulary.eog;
    this.addBos = parts.addBos && vocabulary.bos !== undefined;
    this.chatTemplate = parts.chatTemplate;
    this.#vocabulary = vocabulary;
    this.#codec = parts.codec;
    this.#special = new SpecialTokens(vocabulary);
  }

  encode(text: string, options: EncodeOptions = {}): number[] {
    const { special = false, bos = false } = options;
    const ids: number[] = [];
    if (bos) {
      if (this.bos === undefined) {
        throw new TypeError(
          `Cannot encode with "bos": the vocabulary of ` +
            `"${this.#vocabulary.path}" names no BOS token`,
        );
      }
      ids.push(this.bos);
    }
    let first = true, start = true;
    // UTF-8 has no lone surrogates, and no vocabulary has them.
    for (const part of this.#special.split(text.toWellFormed(), special)) {
      if (typeof part === "number") ids.push(part);
      else this.#codec.encode(part, first, ids, start);
      first = typeof part === "number";
      start = false;
    }
    return ids;
  }

  decode(ids: Iterable<number>): string {
    const decoder = this.createDecoder();
    let text = "";
    for (const id of ids) text += decoder.push(id);
    return text + decoder.end();
  }

  createDecoder(): TokenDecoder {
    const utf8 = new TextDecoder("utf-8", { ignoreBOM: true });
    return {
      push: (id) => utf8.decode(this.bytes(id), { stream: true }),
      end: () => utf8.decode(),
    };
  }

  bytes(id: number): Uint8Array {
    const known = this.#bytes.get(id);
    if (known !== undefined) return known;
    const bytes = this.#spell(id);
    this.#bytes.set(id, bytes);
    return bytes;
  }

  #spell(id: number): Uint8Array {
    const token = this.#vocabulary.tokens[id];
    if (token === undefined) {
      throw new RangeError(
        `Cannot decode token ${id}, wanted 0 to ${this.vocab - 1}`,
      );
    }
    switch (this.#vocabulary.kinds[id]) {
      case TOKEN.NORMAL:
      case TOKEN.BYTE:
        return this.#codec.bytes(token);
      case TOKEN.UNKNOWN:
      case TOKEN.CONTROL:
      case TOKEN.USER:
        return new TextEncoder().encode(token);
      default:
        return new Uint8Array(0);
    }
  }
}
