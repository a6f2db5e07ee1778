/**
 * `POST /v1/completions`.
 *
 * @module
 */
import { z } from "npm:zod@4.6.7";
import { common, length, neutral, optional, sampling } from "./fields.ts";
import { responseFormat } from "./format.ts";

/** Ids of tokens. */
export const ids = z.array(z.int().min(0).max(10_000_000));

/** One text or list of tokens, or several of them. */
export const prompts = z.union([
  z.string(),
  ids.min(1),
  z.array(z.union([z.string(), ids.min(1)])).min(1).max(64),
]);

/** The body. */
export const completionBody = z.strictObject({
  prompt: prompts,
  ...common,
  ...sampling,
  max_tokens: length,
  best_of: optional(z.int().min(1).max(64)),
  logprobs: optional(z.int().min(0).max(20)),
  response_format: optional(responseFormat),
  echo: neutral(false),
  suffix: neutral(""),
});

/** A checked body. */
export type CompletionBody = z.output<typeof completionBody>;
