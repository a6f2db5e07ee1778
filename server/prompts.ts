/**
 * Prompts of completions and embeddings: texts, or tokens.
 *
 * @module
 */
import type { z } from "npm:zod@4.6.7";
import type { Engine } from "../engine/engine.ts";
import { badRequest } from "./errors.ts";
import type { prompts } from "./schema/completion.ts";

/** One prompt. */
export type Prompt = string | readonly number[];

/** All prompts of a request. */
export function promptsOf(given: z.output<typeof prompts>): readonly Prompt[] {
  if (typeof given === "string") return [given];
  return typeof given[0] === "number"
    ? [given as readonly number[]]
    : given as readonly Prompt[];
}

/**
 * Tokens of a prompt: of a text as the model wants them, with BOS in front; none of
 * them are control tokens that the text spells out. Throws an ApiError for no tokens.
 */
export function tokensOf(
  engine: Engine,
  prompt: Prompt,
  param: string,
): readonly number[] {
  if (typeof prompt !== "string") return prompt;
  const { tokenizer } = engine, { bos, addBos } = tokenizer;
  const ids = tokenizer.encode(prompt, { bos: addBos });
  if (ids.length > 0) return ids;
  if (bos !== undefined) return [bos];
  throw badRequest(
    "Cannot take an empty text: the model has no BOS token",
    param,
  );
}
