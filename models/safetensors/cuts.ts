/**
 * What a tokenizer.json does with text before it merges: normalizers and
 * pre-tokenizers, as far as they are known.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { escaped } from "../gguf/quote.ts";
import type { SpacePrefix } from "../model_file.ts";
import {
  createPreTokenizer,
  type CutPattern,
  GPT2_WORDS,
  NORMAL_FORMS,
  type NormalForm,
  type PreTokenizerKind,
} from "../tokenizer/pre_tokenizers.ts";
import { isObject, type JsonObject, kindOf } from "./json.ts";

/** A kind of vocabulary by GGUF's name, and how its text is prepared. */
export type Cuts =
  | { readonly kind: "gpt2"; readonly cut: PreTokenizerKind }
  | { readonly kind: "llama"; readonly prefix: SpacePrefix };

const SPACE = "▁";

/**
 * Recognises them.
 *
 * @throws {ModelError} that names the first part that is not known.
 */
export function cutsOf(
  path: string,
  json: JsonObject,
  model: JsonObject,
): Cuts {
  const normalizers = partsOf(path, json, "normalizer", "normalizers");
  const cutters = partsOf(path, json, "pre_tokenizer", "pretokenizers");
  return cutters.some(({ type }) => type === "ByteLevel")
    ? { kind: "gpt2", cut: byteLevel(path, normalizers, cutters, model) }
    : { kind: "llama", prefix: spaces(path, normalizers, cutters, model) };
}

/** A part, or the parts of a sequence, in order; none for null. */
function partsOf(
  path: string,
  json: JsonObject,
  key: string,
  inner: string,
): readonly JsonObject[] {
  const value = json[key] ?? null;
  if (value === null) return [];
  if (!isObject(value)) {
    throw new ModelError(
      path,
      `"${key}" is ${kindOf(value)}, wanted an object`,
    );
  }
  if (value["type"] !== "Sequence") return [value];
  const list = value[inner];
  if (!Array.isArray(list)) {
    throw new ModelError(
      path,
      `"${key}.${inner}" is ${kindOf(list)}, wanted a list`,
    );
  }
  return list.flatMap((part) => partsOf(path, { [key]: part }, key, inner));
}

function unknown(path: string, key: string, part: JsonObject): never {
  const text = escaped(JSON.stringify(part));
  throw new ModelError(
    path,
    `"${key}" has ${
      text.length > 200 ? `${text.slice(0, 200)}…` : text
    }, which is not supported here; get the model as GGUF`,
  );
}

function byteLevel(
  path: string,
  normalizers: readonly JsonObject[],
  cutters: readonly JsonObject[],
  model: JsonObject,
): PreTokenizerKind {
  const forms = normalizers.map((part): NormalForm => {
    const form = NORMAL_FORMS.find((form) => form === part["type"]);
    return form ?? unknown(path, "normalizer", part);
  });
  const patterns = cutters.flatMap((part, i): CutPattern[] => {
    const last = i === cutters.length - 1;
    const pattern = cutOf(part, last);
    return pattern === undefined
      ? unknown(path, "pre_tokenizer", part)
      : pattern;
  });
  const kind = {
    patterns,
    ignoreMerges: model["ignore_merges"] === true,
    ...(forms.length === 0 ? {} : { forms }),
  };
  try {
    createPreTokenizer(kind);
  } catch (cause) {
    throw new ModelError(
      path,
      `"pre_tokenizer" has a pattern that cannot be used: ${
        (cause as Error).message.slice(0, 200)
      }`,
      { cause },
    );
  }
  return kind;
}

/** Patterns of one part, none for one that cuts nothing; undefined where not known. */
function cutOf(part: JsonObject, last: boolean): CutPattern[] | undefined {
  switch (part["type"]) {
    case "ByteLevel":
      // Bytes are spelled last, and a space put before each word is none of the text.
      if (!last || part["add_prefix_space"] === true) return undefined;
      return part["use_regex"] === false ? [] : [GPT2_WORDS];
    case "Digits":
      return [part["individual_digits"] === true ? "\\p{N}" : "\\p{N}+"];
    case "Split": {
      const { pattern, behavior, invert = false } = part;
      const { Regex: regex, String: text } = isObject(pattern) ? pattern : {};
      const source = typeof regex === "string"
        ? regex
        : typeof text === "string"
        ? text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&")
        : undefined;
      if (source === undefined) return undefined;
      if (behavior === "Isolated") return [source];
      return behavior === "Removed" && invert === true
        ? [{ only: source }]
        : undefined;
    }
    default:
      return undefined;
  }
}

/** Spaces become "▁" and one may be put before the text; nothing else may be done. */
function spaces(
  path: string,
  normalizers: readonly JsonObject[],
  cutters: readonly JsonObject[],
  model: JsonObject,
): SpacePrefix {
  let prefix: SpacePrefix = "never", replaced = false;
  for (const part of normalizers) {
    const { type, pattern, content, prepend } = part;
    if (type === "Prepend" && prepend === SPACE && !replaced) prefix = "each";
    else if (
      type === "Replace" && content === SPACE && isObject(pattern) &&
      pattern["String"] === " "
    ) replaced = true;
    else unknown(path, "normalizer", part);
  }
  for (const part of cutters) {
    const { type, replacement, prepend_scheme: scheme, pattern } = part;
    if (type === "Split" && replaced && isObject(pattern)) {
      // There are no spaces any more that it could cut at.
      if (pattern["String"] === " ") continue;
    }
    if (
      type !== "Metaspace" || replacement !== SPACE ||
      part["split"] !== false ||
      prefix !== "never"
    ) unknown(path, "pre_tokenizer", part);
    const known = scheme ??
      (part["add_prefix_space"] === false ? "never" : "always");
    if (known === "first" || known === "never") prefix = known;
    else if (known === "always") prefix = "missing";
    else unknown(path, "pre_tokenizer", part);
    replaced = true;
  }
  if (!replaced) {
    throw new ModelError(
      path,
      `it neither spells bytes ("ByteLevel") nor writes spaces as "${SPACE}", ` +
        `wanted one of the two; get the model as GGUF`,
    );
  }
  for (
    const [key, wanted] of [["byte_fallback", true], ["ignore_merges", false]]
  ) {
    if ((model[key as string] ?? false) === wanted) continue;
    throw new ModelError(
      path,
      `"model.${key}" is ${
        kindOf(model[key as string])
      }, wanted ${wanted} with ` +
        `spaces as "${SPACE}"`,
    );
  }
  return prefix;
}
