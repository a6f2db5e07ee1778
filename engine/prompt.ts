/**
 * What a request says, as tokens.
 *
 * @module
 */
import { type ChatMessage, renderChat } from "../models/chat_template.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
import { unquote } from "../models/tokenizer/quoted.ts";
import type { GenerateOptions } from "./options.ts";

/** The model that is asked. */
export interface PromptModel {
  /** Its file, for messages. */
  readonly model: string;
  readonly tokenizer: Tokenizer;
}

/**
 * Tokens of the one of prompt, tokens and messages that is given; a copy of the
 * caller's. Throws a TypeError unless exactly one is, a RangeError for an empty
 * prompt where the model has no BOS token, and a ModelError as `chatPrompt()`.
 */
export function promptTokens(
  at: PromptModel,
  { prompt, tokens, messages, tools }: GenerateOptions,
): readonly number[] {
  const given = [prompt, tokens, messages].filter((x) => x !== undefined);
  if (given.length !== 1) {
    throw new TypeError(
      `Cannot generate: exactly one of "prompt", "tokens" and "messages" is wanted, ${given.length} given`,
    );
  }
  if (tools !== undefined && messages === undefined) {
    throw new TypeError(
      'Cannot generate with "tools" alone: they go with "messages"',
    );
  }
  if (tokens !== undefined) return [...tokens];
  if (messages !== undefined) return chatTokens(at, messages, { tools });
  const { bos, addBos } = at.tokenizer;
  const ids = at.tokenizer.encode(prompt!, { bos: addBos });
  if (ids.length > 0) return ids;
  if (bos !== undefined) return [bos];
  throw new RangeError(
    "Cannot generate from an empty prompt: the model has no BOS token",
  );
}

/** What a conversation may have besides its messages. */
export interface ChatOptions {
  /** Functions that the model may call, as its template writes them. */
  readonly tools?: readonly unknown[] | undefined;
}

/** Tokens of a conversation, with one BOS token where the model wants it. */
export function chatTokens(
  at: PromptModel,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): readonly number[] {
  const { tokenizer, tokenizer: { bos, addBos } } = at;
  const ids = tokenizer.encode(quotedPrompt(at, messages, options), {
    special: true,
    quoted: true,
  });
  return addBos && bos !== undefined && ids[0] !== bos ? [bos, ...ids] : ids;
}

/**
 * A conversation as the model's chat template writes it, up to where its answer
 * begins. Throws a ModelError where there is no template.
 */
export function chatPrompt(
  at: PromptModel,
  messages: readonly ChatMessage[],
  options: ChatOptions = {},
): string {
  return unquote(quotedPrompt(at, messages, options));
}

/**
 * `chatPrompt()`, with marks that keep what was said from being read as control
 * tokens: for `encode()` with `quoted`.
 */
export function quotedPrompt(
  { model, tokenizer }: PromptModel,
  messages: readonly ChatMessage[],
  { tools }: ChatOptions = {},
): string {
  const text = (id: number | undefined): string =>
    id === undefined ? "" : tokenizer.decode([id]);
  const quote = (text: string): string => tokenizer.quote(text);
  return renderChat(
    tokenizer.chatTemplate,
    quoted(messages, quote) as readonly ChatMessage[],
    {
      model,
      bos: text(tokenizer.bos),
      eos: text(tokenizer.eos),
      ...(tools === undefined
        ? {}
        : { tools: quoted(tools, quote) as readonly unknown[] }),
    },
  );
}

/** A value with every text in it quoted, names of fields too. */
function quoted(value: unknown, quote: (text: string) => string): unknown {
  if (typeof value === "string") return quote(value);
  if (Array.isArray(value)) return value.map((v) => quoted(v, quote));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([k, v]) => [quote(k), quoted(v, quote)]),
  );
}

/** Throws a RangeError for no tokens, or an id outside the vocabulary. */
export function checkTokens(ids: readonly number[], vocab: number): void {
  if (ids.length === 0) {
    throw new RangeError("Cannot compute no tokens: one is the least");
  }
  for (const id of ids) {
    if (Number.isInteger(id) && id >= 0 && id < vocab) continue;
    throw new RangeError(
      `Cannot compute token ${id}: ids go from 0 to ${vocab - 1}`,
    );
  }
}
