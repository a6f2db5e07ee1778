/**
 * Tokens that a tokenizer.json lists apart: they are found in text before it is cut.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { quote } from "../gguf/walk.ts";
import { isObject, kindOf } from "./json.ts";

/** One of them. */
export interface AddedToken {
  readonly id: number;
  readonly content: string;
  /** Whether it is for control, and its text in a prompt means nothing. */
  readonly special: boolean;
  /** Whether it takes white space before it along. */
  readonly lstrip: boolean;
  /** Whether it takes white space behind it along. */
  readonly rstrip: boolean;
}

/**
 * Reads the list.
 *
 * @throws {ModelError} for one without a number or a text, or found by whole words only.
 */
export function addedTokens(path: string, list: unknown): AddedToken[] {
  if (!Array.isArray(list)) {
    throw new ModelError(
      path,
      `"added_tokens" is ${kindOf(list)}, wanted a list`,
    );
  }
  return list.map((token: unknown, i): AddedToken => {
    const { id, content, special, lstrip, rstrip, single_word: word } =
      isObject(token) ? token : {};
    if (
      typeof id !== "number" || !Number.isInteger(id) || id < 0 ||
      typeof content !== "string"
    ) {
      throw new ModelError(
        path,
        `"added_tokens" has ${
          kindOf(token)
        } at ${i}, wanted "id" and "content"`,
      );
    }
    if (word === true) {
      throw new ModelError(
        path,
        `token ${
          quote(content)
        } has "single_word" true, which is not supported; ` +
          `wanted false`,
      );
    }
    return {
      id,
      content,
      special: special === true,
      lstrip: lstrip === true,
      rstrip: rstrip === true,
    };
  });
}
