/**
 * Texts and kinds of all tokens, by their numbers.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { quote } from "../gguf/walk.ts";
import { TOKEN } from "../tokenizer/vocabulary.ts";
import type { AddedToken } from "./added_tokens.ts";
import type { Cuts } from "./cuts.ts";
import { isObject, type JsonObject, kindOf } from "./json.ts";

/** A vocabulary, for as many tokens as the model has. */
export interface Tokens {
  readonly tokens: readonly string[];
  readonly types: Int32Array;
  readonly ids: ReadonlyMap<string, number>;
}

/**
 * Lays tokens out. Numbers that nothing has become unused tokens; added ones beyond
 * what the model has are left out, as it cannot read them.
 *
 * @throws {ModelError} for a number that two have, or the model does not.
 */
export function tokensOf(
  path: string,
  model: JsonObject,
  added: readonly AddedToken[],
  cuts: Cuts,
  rows: number | undefined,
): Tokens {
  const { vocab } = model;
  if (!isObject(vocab)) {
    throw new ModelError(
      path,
      `"model.vocab" is ${kindOf(vocab)}, wanted an object`,
    );
  }
  const entries = Object.entries(vocab);
  const count = rows ?? entries.length + added.length;
  const tokens = new Array<string | undefined>(count).fill(undefined);
  const types = new Int32Array(count).fill(TOKEN.UNUSED);
  const ids = new Map<string, number>();
  const put = (text: string, id: number, type: number): void => {
    const before = tokens[id];
    if (before !== undefined && before !== text) {
      throw new ModelError(
        path,
        `tokens ${quote(before)} and ${quote(text)} both have the number ${id}`,
      );
    }
    tokens[id] = text;
    types[id] = type;
    ids.set(text, id);
  };
  const sentencePiece = cuts.kind === "llama";
  for (const [text, id] of entries) {
    if (
      typeof id !== "number" || !Number.isInteger(id) || id < 0 || id >= count
    ) {
      // It stands in both lists, and is left out below.
      if (added.some((t) => t.content === text && t.id === id)) continue;
      throw new ModelError(
        path,
        `token ${quote(text)} has the number ${kindOf(id)}, wanted 0 to ` +
          `${count - 1}: the model has ${count} tokens`,
      );
    }
    const byte = sentencePiece && /^<0x[0-9A-F]{2}>$/.test(text);
    put(text, id, byte ? TOKEN.BYTE : TOKEN.NORMAL);
  }
  for (const { id, content, special } of added) {
    if (id < count) put(content, id, special ? TOKEN.CONTROL : TOKEN.USER);
  }
  const unknown = ids.get(textOf(model["unk_token"]));
  if (sentencePiece && unknown !== undefined) types[unknown] = TOKEN.UNKNOWN;
  return {
    tokens: tokens.map((text, id) => text ?? `[PAD${id}]`),
    types,
    ids,
  };
}

/** A text, "" for anything else. */
function textOf(value: unknown): string {
  return typeof value === "string" ? value : "";
}
