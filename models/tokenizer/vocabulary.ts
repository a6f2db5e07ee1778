/**
 * A vocabulary with what the tokenizer needs to know of each token.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { show } from "../gguf/quote.ts";
import type { ModelFile, StripWords } from "../model_file.ts";

/** Kinds of token, by their number in the file. */
export const TOKEN = {
  NORMAL: 1,
  UNKNOWN: 2,
  CONTROL: 3,
  USER: 4,
  UNUSED: 5,
  BYTE: 6,
} as const;

/**
 * Texts by which an end-of-generation token is known, because files name at
 * most one of several. Such a token is a control token whatever the file says;
 * only `</s>` must be one already to end anything, for some vocabularies have
 * it as the end of struck-out text.
 */
const ENDS: ReadonlySet<string> = new Set([
  "<|eot_id|>",
  "<|im_end|>",
  "<|end|>",
  "<|return|>",
  "<|call|>",
  "<|flush|>",
  "<|calls|>",
  "<end_of_turn>",
  "<|endoftext|>",
  "</s>",
  "<|eom_id|>",
  "<EOT>",
  "_<EOT>",
  "[EOT]",
  "[EOS]",
  "<|end_of_text|>",
  "<end_of_utterance>",
  "<eos>",
  "<turn|>",
  "<|tool_response>",
  "<｜end▁of▁sentence｜>",
]);

/** Tokens of one model, by id and by text. */
export interface Vocabulary {
  /** For errors. */
  readonly path: string;
  readonly tokens: readonly string[];
  /** A `TOKEN` kind for each token. */
  readonly kinds: Uint8Array;
  readonly scores: Float32Array | undefined;
  readonly merges: readonly string[] | undefined;
  /** Of equal texts, the last. */
  readonly ids: ReadonlyMap<string, number>;
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  /** Every token after which a model has nothing more to say. */
  readonly eog: ReadonlySet<number>;
  /** Tokens that take white space along; undefined for none. */
  readonly strips: StripWords | undefined;
}

/** Ids of an absent key in a SentencePiece vocabulary: `<s>` and `</s>`. */
const SENTENCEPIECE_DEFAULTS = { bos: 1, eos: 2 };

/**
 * Collects the vocabulary of a file.
 *
 * @throws {ModelError} if it has none, or names a token it does not have.
 */
export function vocabularyOf(file: ModelFile): Vocabulary {
  const raw = file.vocabulary;
  if (raw === undefined) {
    throw new ModelError(
      file.path,
      file.format === "safetensors"
        ? `there is no "tokenizer.json" in the folder, wanted one: get it too`
        : `the required key "tokenizer.ggml.tokens" is missing: the file has ` +
          `no tokenizer`,
    );
  }
  const { tokens } = raw;
  const defaults = file.metadata["tokenizer.ggml.model"] === "llama"
    ? SENTENCEPIECE_DEFAULTS
    : undefined;
  const special = (name: "bos" | "eos" | "eot" | "eom"): number | undefined => {
    const key = `tokenizer.ggml.${name}_token_id`;
    const id = file.metadata[key];
    if (id === undefined) {
      const usual = name === "bos" || name === "eos"
        ? defaults?.[name]
        : undefined;
      return usual !== undefined && usual < tokens.length ? usual : undefined;
    }
    if (
      typeof id !== "number" || !Number.isInteger(id) || id < 0 ||
      id >= tokens.length
    ) {
      throw new ModelError(
        file.path,
        `"${key}" is ${show(id)}, wanted 0 to ${tokens.length - 1}`,
      );
    }
    return id;
  };

  const kinds = new Uint8Array(tokens.length).fill(TOKEN.NORMAL);
  raw.types?.forEach((kind, id) => {
    if (kind < 0 || kind > TOKEN.BYTE) {
      throw new ModelError(
        file.path,
        `token ${id} of the vocabulary has kind ${kind}, wanted 1 to ${TOKEN.BYTE}`,
      );
    }
    kinds[id] = kind;
  });
  const ids = new Map<string, number>();
  for (let id = 0; id < tokens.length; id++) ids.set(tokens[id]!, id);

  const eog = new Set(raw.ends);
  for (const name of ["eos", "eot", "eom"] as const) {
    const id = special(name);
    if (id !== undefined) eog.add(id);
  }
  for (const text of ENDS) {
    const id = ids.get(text);
    if (id === undefined) continue;
    if (text !== "</s>" || kinds[id] === TOKEN.CONTROL) eog.add(id);
    kinds[id] = TOKEN.CONTROL;
  }
  return {
    path: file.path,
    tokens,
    kinds,
    scores: raw.scores,
    merges: raw.merges,
    ids,
    bos: special("bos"),
    eos: special("eos"),
    eog,
    strips: raw.strips,
  };
}
