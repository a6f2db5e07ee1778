/**
 * A tokenizer.json, with what lies beside it, as a vocabulary in GGUF's words.
 *
 * | `model.type` BPE with | becomes `tokenizer.ggml.model` |
 * |---|---|
 * | a `ByteLevel` pre-tokenizer | "gpt2": merges, patterns that cut words |
 * | `byte_fallback`, spaces as "▁" | "llama": merges, a first space |
 *
 * @module
 */
import { join } from "node:path";
import { ModelError } from "../../core/errors.ts";
import type { ModelVocabulary } from "../model_file.ts";
import { type AddedToken, addedTokens } from "./added_tokens.ts";
import { chatTemplate } from "./chat_template.ts";
import { cutsOf } from "./cuts.ts";
import { readJson } from "./folder.ts";
import { isObject, type JsonObject, kindOf } from "./json.ts";
import { prependedToken, specialIds } from "./special_ids.ts";
import { tokensOf } from "./tokens.ts";

/** A vocabulary, and the metadata that goes with it. */
export interface TokenizerWords {
  readonly metadata: Readonly<Record<string, unknown>>;
  readonly vocabulary: ModelVocabulary;
}

/** What the files of a tokenizer say. */
export interface TokenizerFiles {
  /** tokenizer.json */
  readonly json: JsonObject;
  /** tokenizer_config.json */
  readonly settings: JsonObject;
  /** generation_config.json */
  readonly generation: JsonObject;
  /** config.json, for tokens that begin and end. */
  readonly config: JsonObject;
}

/**
 * Reads a folder's tokenizer; undefined where there is none.
 *
 * @param rows Tokens that the model has; undefined where that is not known.
 * @throws {ModelError} for a tokenizer of a kind that is not supported.
 */
export async function readTokenizer(
  folder: string,
  config: JsonObject,
  rows: number | undefined,
): Promise<TokenizerWords | undefined> {
  const json = await readJson(folder, "tokenizer.json", false);
  if (json === undefined) return undefined;
  const settings = await readJson(folder, "tokenizer_config.json") ?? {};
  const generation = await readJson(folder, "generation_config.json") ?? {};
  const { metadata, vocabulary } = tokenizerWords(
    join(folder, "tokenizer.json"),
    { json, settings, generation, config },
    rows,
  );
  const template = await chatTemplate(folder, settings);
  return {
    vocabulary,
    metadata: template === undefined
      ? metadata
      : { ...metadata, "tokenizer.chat_template": template },
  };
}

/** The tokenizer that files describe, without its chat template; see `readTokenizer()`. */
export function tokenizerWords(
  path: string,
  files: TokenizerFiles,
  rows: number | undefined,
): TokenizerWords {
  const { json, settings } = files;
  const model = modelOf(path, json);
  const cuts = cutsOf(path, json, model);
  const added = addedTokens(path, json["added_tokens"] ?? []);
  const { tokens, types, ids } = tokensOf(path, model, added, cuts, rows);
  const beginning = prependedToken(path, json["post_processor"] ?? null);
  const special = specialIds({ ...files, beginning }, ids, tokens.length);
  const addBos = settings["add_bos_token"];
  const key = (name: string): string => `tokenizer.ggml.${name}`;
  const metadata: Record<string, unknown> = {
    [key("model")]: cuts.kind,
    [key("add_bos_token")]: typeof addBos === "boolean"
      ? addBos
      : beginning !== undefined,
  };
  if (special.bos !== undefined) metadata[key("bos_token_id")] = special.bos;
  if (special.eos !== undefined) metadata[key("eos_token_id")] = special.eos;
  const strips = stripsOf(added);
  return {
    metadata,
    vocabulary: {
      tokens,
      types,
      scores: undefined,
      merges: mergesOf(path, model),
      ends: special.ends,
      ...(strips === undefined ? {} : { strips }),
      ...(cuts.kind === "gpt2" ? { cuts: cuts.cut } : { prefix: cuts.prefix }),
    },
  };
}

/** Parts of a model that would make other tokens. */
const PLAIN: Readonly<Record<string, readonly unknown[]>> = {
  dropout: [null, 0],
  continuing_subword_prefix: [null, ""],
  end_of_word_suffix: [null, ""],
};

function modelOf(path: string, json: JsonObject): JsonObject {
  const { model } = json;
  const type = isObject(model) ? model["type"] ?? "BPE" : undefined;
  if (!isObject(model) || type !== "BPE") {
    throw new ModelError(
      path,
      `its model is ${
        isObject(model) ? kindOf(type) : kindOf(model)
      }, wanted ` +
        `"BPE" (byte-level, or SentencePiece with byte fallback)`,
    );
  }
  for (const [key, values] of Object.entries(PLAIN)) {
    if (values.includes(model[key] ?? null)) continue;
    throw new ModelError(
      path,
      `"model.${key}" is ${
        kindOf(model[key])
      }, which is not supported; wanted none`,
    );
  }
  return model;
}

/** Merges, best first, as "left right": neither part of one has a space that is used. */
function mergesOf(path: string, { merges }: JsonObject): string[] {
  if (!Array.isArray(merges)) {
    throw new ModelError(
      path,
      `"model.merges" is ${kindOf(merges)}, wanted a list`,
    );
  }
  return merges.map((merge: unknown, i) => {
    if (typeof merge === "string") return merge;
    if (
      Array.isArray(merge) && merge.length === 2 &&
      typeof merge[0] === "string" && typeof merge[1] === "string"
    ) return `${merge[0]} ${merge[1]}`;
    throw new ModelError(
      path,
      `"model.merges" has ${kindOf(merge)} at ${i}, wanted two texts`,
    );
  });
}

function stripsOf(added: readonly AddedToken[]): ModelVocabulary["strips"] {
  const left = new Set(added.filter((t) => t.lstrip).map((t) => t.id));
  const right = new Set(added.filter((t) => t.rstrip).map((t) => t.id));
  return left.size + right.size === 0 ? undefined : { left, right };
}
