/**
 * Which tokens begin and end a text, from four files that may all say it.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { quote } from "../gguf/quote.ts";
import { isObject, type JsonObject, kindOf } from "./json.ts";

/** Where it is said. */
export interface Sayings {
  /** config.json */
  readonly config: JsonObject;
  /** generation_config.json */
  readonly generation: JsonObject;
  /** tokenizer_config.json */
  readonly settings: JsonObject;
  /** What the tokenizer itself puts before a text. */
  readonly beginning: string | undefined;
}

/** What comes of it. */
export interface SpecialIds {
  readonly bos: number | undefined;
  readonly eos: number | undefined;
  /** Every token that ends a text. */
  readonly ends: readonly number[];
}

/** Collects them; what is no token of a vocabulary of `count` is as good as not said. */
export function specialIds(
  { config, generation, settings, beginning }: Sayings,
  ids: ReadonlyMap<string, number>,
  count: number,
): SpecialIds {
  const named = (value: unknown): number | undefined => {
    const text = isObject(value) ? value["content"] : value;
    return typeof text === "string" ? ids.get(text) : undefined;
  };
  const numbers = (value: unknown): number[] =>
    (Array.isArray(value) ? value : [value]).filter((id): id is number =>
      Number.isInteger(id) && id >= 0 && id < count
    );
  const said = (key: string) => [
    ...numbers(generation[key]),
    ...numbers(config[key]),
  ];
  // A tokenizer that says "none" means it.
  const none = settings["bos_token"] === null;
  const ends = said("eos_token_id");
  const eos = named(settings["eos_token"]) ?? ends[0];
  return {
    bos: named(beginning) ?? named(settings["bos_token"]) ??
      (none ? undefined : said("bos_token_id")[0]),
    eos,
    ends: [...new Set(eos === undefined ? ends : [eos, ...ends])],
  };
}

/**
 * The token that a post-processor puts before a text; undefined for none.
 *
 * @throws {ModelError} for one that does anything else.
 */
export function prependedToken(
  path: string,
  processor: unknown,
): string | undefined {
  if (processor === null) return undefined;
  const { type, processors, single } = isObject(processor) ? processor : {};
  if (type === "ByteLevel") return undefined;
  if (type === "Sequence" && Array.isArray(processors)) {
    const all = processors.map((each) => prependedToken(path, each));
    return all.find((token) => token !== undefined);
  }
  if (type === "TemplateProcessing" && Array.isArray(single)) {
    const parts = single.map((part) =>
      isObject(part) && isObject(part["SpecialToken"])
        ? textOf(part["SpecialToken"]["id"])
        : undefined
    );
    const [first, ...rest] = parts;
    if (parts.length === 1 && first === undefined) return undefined;
    if (parts.length === 2 && first !== undefined && rest[0] === undefined) {
      return first;
    }
    throw new ModelError(
      path,
      `"post_processor" makes ${
        parts.map((p) => p === undefined ? "the text" : quote(p))
          .join(", ")
      } of a text, wanted at most one token before it`,
    );
  }
  throw new ModelError(
    path,
    `"post_processor" is ${kindOf(type)}, which is not supported; wanted ` +
      `"TemplateProcessing", "ByteLevel" or none`,
  );
}

/** A text, what it is for anything else. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : kindOf(value);
}
