/**
 * How byte-level vocabularies cut text into words before they merge anything.
 *
 * @module
 */
import {
  ByteLevelPreTokenizer,
  SequencePreTokenizer,
  SplitPreTokenizer,
} from "npm:@huggingface/tokenizers@0.2.0";
import { ModelError } from "../../core/errors.ts";
import { show } from "../gguf/quote.ts";

/** Unicode's normal forms. */
export const NORMAL_FORMS = ["NFC", "NFD", "NFKC", "NFKD"] as const;

/** One of them. */
export type NormalForm = typeof NORMAL_FORMS[number];

/**
 * A regular expression that cuts out its matches and keeps what is between; with
 * `only`, what is between is lost.
 */
export type CutPattern = string | { readonly only: string };

/** How text is cut: a kind of "tokenizer.ggml.pre", or what another file says. */
export interface PreTokenizerKind {
  /** Applied in turn. */
  readonly patterns: readonly CutPattern[];
  /** What text is brought into before; default none. */
  readonly forms?: readonly NormalForm[];
  /** A word that is a token as it stands is not merged from characters. */
  readonly ignoreMerges?: boolean;
  /** Whether the model wants a BOS token where the file does not say. */
  readonly addBos?: boolean;
}

const SPACES = String.raw`\s+(?!\S)|\s+`;
const ENDINGS_ANY_CASE =
  "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])";

/** Words as GPT-2 cuts them. */
export const GPT2_WORDS: string =
  String.raw`'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|` +
  SPACES;

/** Words that take one character before them along; runs of up to `digits`. */
function wordsWithLead(digits: string): string {
  return ENDINGS_ANY_CASE +
    String.raw`|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}` + digits +
    String.raw`| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|` + SPACES;
}

/** Words cut where upper case follows lower. */
function wordsByCase(endings: string, digits: string): string {
  const lead = String.raw`[^\r\n\p{L}\p{N}]?`;
  const upper = String.raw`(?:(?=\p{L})[^a-z])`;
  const lower = String.raw`(?:(?=\p{L})[^A-Z])`;
  return `${lead}${upper}*${lower}+${endings}|` +
    `${lead}${upper}+${lower}*${endings}|` +
    String.raw`\p{N}${digits}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|` + SPACES;
}

const gpt2: PreTokenizerKind = { patterns: [GPT2_WORDS] };
const singleDigits: PreTokenizerKind = {
  patterns: [String.raw`\p{N}`, GPT2_WORDS],
};
const llama3Words: PreTokenizerKind = { patterns: [wordsWithLead("{1,3}")] };
const llama3: PreTokenizerKind = {
  ...llama3Words,
  ignoreMerges: true,
  addBos: true,
};
/** Chinese, Japanese and Korean, as DeepSeek's first models cut them. */
const EAST_ASIAN = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+";
const LINES = String.raw`[\r\n]`;

const qwen2: PreTokenizerKind = { patterns: [wordsWithLead("")] };

const KINDS: Readonly<Record<string, PreTokenizerKind>> = {
  "default": {
    patterns: [
      String.raw`[\p{P}\$\+<=>\^~\|]+`,
      GPT2_WORDS,
      String.raw`\p{N}+`,
      "[0-9][0-9][0-9]",
    ],
  },
  "gpt-2": gpt2,
  "phi-2": gpt2,
  "mpt": gpt2,
  "olmo": gpt2,
  "jais": gpt2,
  "exaone4": gpt2,
  "trillion": gpt2,
  "granite-docling": gpt2,
  "smollm": singleDigits,
  "starcoder": singleDigits,
  "refact": singleDigits,
  "command-r": singleDigits,
  "codeshell": singleDigits,
  "exaone": singleDigits,
  "minerva-7b": singleDigits,
  "llama-bpe": llama3,
  "llama3": llama3,
  "llama-v3": llama3,
  "falcon3": llama3,
  "pixtral": llama3,
  "falcon-h1": llama3,
  "lfm2": llama3,
  "midm-2.0": llama3,
  "dbrx": llama3Words,
  "smaug-bpe": llama3Words,
  "chatglm-bpe": llama3Words,
  "glm4": llama3Words,
  "qwen2": qwen2,
  "deepseek-r1-qwen": qwen2,
  "stablelm2": qwen2,
  "megrez": qwen2,
  "hunyuan": qwen2,
  "seed-coder": {
    patterns: [
      ENDINGS_ANY_CASE +
      String
        .raw`|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|` +
      SPACES,
    ],
  },
  "deepseek-llm": {
    patterns: [
      LINES,
      String.raw`\s?[\p{Lu}\p{Ll}\p{Lt}]+`,
      String
        .raw`\s?[!-\/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+`,
      String.raw`\s+$`,
      EAST_ASIAN,
      String.raw`\p{N}+`,
    ],
  },
  "deepseek-coder": {
    patterns: [
      LINES,
      String.raw`\s?\p{L}+`,
      String.raw`\s?\p{P}+`,
      EAST_ASIAN,
      String.raw`\p{N}`,
    ],
  },
  "deepseek-v3": {
    patterns: [
      String.raw`\p{N}{1,3}`,
      String.raw`[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+`,
      String
        .raw`[!-\/:-@\[-\x60\{-~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|` +
      String.raw` ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|` + SPACES,
    ],
  },
  "tekken": {
    patterns: [wordsByCase("", "")],
    ignoreMerges: true,
    addBos: true,
  },
  "gpt-4o": { patterns: [wordsByCase(`${ENDINGS_ANY_CASE}?`, "{1,3}")] },
  "llama4": { patterns: [wordsByCase(`${ENDINGS_ANY_CASE}?`, "{1,3}")] },
};

/**
 * The kind a file names; one that names none means "default".
 *
 * @throws {ModelError} that lists the known kinds, if it is not one of them.
 */
export function preTokenizerKind(
  path: string,
  name: unknown,
): PreTokenizerKind {
  const key = name ?? "default";
  if (typeof key === "string" && Object.hasOwn(KINDS, key)) return KINDS[key]!;
  throw new ModelError(
    path,
    `"tokenizer.ggml.pre" is ${show(key)}, wanted one of ${
      Object.keys(KINDS).join(", ")
    }`,
  );
}

/**
 * Makes a function that cuts text into words and spells each as the characters
 * that stand for its UTF-8 bytes.
 */
export function createPreTokenizer(
  kind: PreTokenizerKind,
): (text: string) => string[] {
  const sequence = new SequencePreTokenizer({
    type: "Sequence",
    pretokenizers: [],
  });
  sequence.tokenizers = [
    ...kind.patterns.map((pattern) =>
      new SplitPreTokenizer({
        type: "Split",
        pattern: {
          Regex: typeof pattern === "string" ? pattern : pattern.only,
        },
        behavior: typeof pattern === "string" ? "Isolated" : "Removed",
        invert: typeof pattern !== "string",
      })
    ),
    new ByteLevelPreTokenizer({
      type: "ByteLevel",
      add_prefix_space: false,
      use_regex: false,
    }),
  ];
  const { forms = [] } = kind;
  return (text) =>
    sequence.pre_tokenize_text(
      forms.reduce((text, form) => text.normalize(form), text),
    );
}
