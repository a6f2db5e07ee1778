/**
 * The tokenizer.json that a GGUF vocabulary would have been published with.
 *
 * @module
 */
import type { ModelFile } from "../model_file.ts";
import { TOKEN } from "../tokenizer/vocabulary.ts";

type Json = Record<string, unknown>;

const WORDS: Readonly<Record<string, Json>> = {
  "gpt-2": { type: "ByteLevel", add_prefix_space: false, use_regex: true },
  "smollm": {
    type: "Sequence",
    pretokenizers: [
      { type: "Digits", individual_digits: true },
      { type: "ByteLevel", add_prefix_space: false, use_regex: true },
    ],
  },
  "llama-bpe": split(
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ),
  "qwen2": split(
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
  ),
};

function split(regex: string): Json {
  return {
    type: "Sequence",
    pretokenizers: [
      {
        type: "Split",
        pattern: { Regex: regex },
        behavior: "Isolated",
        invert: false,
      },
      { type: "ByteLevel", add_prefix_space: false, use_regex: false },
    ],
  };
}

/** Files of the tokenizer by name, as objects to be written as JSON. */
export function hubTokenizer(
  { metadata, vocabulary }: ModelFile,
): Record<string, Json> {
  const { tokens, types, merges, scores } = vocabulary!;
  const get = (key: string): unknown => metadata[`tokenizer.ggml.${key}`];
  const kind = (id: number) => types?.[id] ?? TOKEN.NORMAL;
  const bytes = get("model") === "gpt2";
  const added = tokens.flatMap((content, id) => {
    const special = kind(id) === TOKEN.CONTROL || kind(id) === TOKEN.UNKNOWN;
    return special || kind(id) === TOKEN.USER
      ? [{ id, content, special, single_word: false, normalized: false }]
      : [];
  });
  const bos = tokens[Number(get("bos_token_id") ?? -1)];
  const eos = tokens[Number(get("eos_token_id") ?? -1)];
  const addBos = get("add_bos_token") === true;
  const json: Json = {
    version: "1.0",
    decoder: null,
    added_tokens: added,
    ...(bytes
      ? byteParts(String(get("pre")))
      : spaceParts(get("add_space_prefix"))),
    post_processor: addBos
      ? {
        type: "TemplateProcessing",
        single: [
          { SpecialToken: { id: bos, type_id: 0 } },
          { Sequence: { id: "A", type_id: 0 } },
        ],
      }
      : null,
    model: {
      type: "BPE",
      unk_token: bytes ? null : tokens[types!.indexOf(TOKEN.UNKNOWN)],
      byte_fallback: !bytes,
      ignore_merges: get("pre") === "llama-bpe",
      vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
      merges: merges?.map((m) => m.split(" ")) ?? mergesOf(tokens, scores!),
    },
  };
  const template = metadata["tokenizer.chat_template"];
  return {
    "tokenizer.json": json,
    "tokenizer_config.json": {
      bos_token: bos ?? null,
      eos_token: { content: eos, __type: "AddedToken" },
      ...(template === undefined ? {} : { chat_template: template }),
    },
  };
}

function byteParts(pre: string): Json {
  return {
    normalizer: pre === "qwen2" ? { type: "NFC" } : null,
    pre_tokenizer: WORDS[pre]!,
  };
}

function spaceParts(addPrefix: unknown): Json {
  const replace = { type: "Replace", pattern: { String: " " }, content: "▁" };
  return {
    normalizer: addPrefix === false ? replace : {
      type: "Sequence",
      normalizers: [{ type: "Prepend", prepend: "▁" }, replace],
    },
    pre_tokenizer: addPrefix === false
      ? {
        type: "Split",
        pattern: { String: " " },
        behavior: "MergedWithPrevious",
        invert: false,
      }
      : null,
  };
}

/** Every pair whose text is a token, by the score of that token. */
function mergesOf(tokens: readonly string[], scores: Float32Array): string[][] {
  const ids = new Map(tokens.map((token, id) => [token, id]));
  return tokens.flatMap((token, id) => {
    const chars = [...token];
    return chars.slice(1).flatMap((_, i) => {
      const left = chars.slice(0, i + 1).join("");
      const right = chars.slice(i + 1).join("");
      const both = ids.has(left) && ids.has(right);
      return both ? [{ id, left, right }] : [];
    });
  }).sort((a, b) =>
    scores[b.id]! - scores[a.id]! || ids.get(a.left)! - ids.get(b.left)!
  ).map(({ left, right }) => [left, right]);
}
