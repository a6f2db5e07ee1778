/**
 * What a request says, as tokens.
 *
 * @module
 */
import { type ChatMessage, renderChat } from "../models/chat_template.ts";
import type { Tokenizer } from "../models/tokenizer.ts";
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
  { prompt, tokens, messages }: GenerateOptions,
): readonly number[] {
  const given = [prompt, tokens, messages].filter((x) => x !== undefined);
  if (given.length !== 1) {
    throw new TypeError(
      `Cannot generate: exactly one of "prompt", "tokens" and "messages" is wanted, ${given.length} given`,
    );
  }
  if (tokens !== undefined) return [...tokens];
  if (messages !== undefined) return chatTokens(at, messages);
  const { bos, addBos } = at.tokenizer;
  const ids = at.tokenizer.encode(prompt!, { bos: addBos });
  if (ids.length > 0) return ids;
  if (bos !== undefined) return [bos];
  throw new RangeError(
    "Cannot generate from an empty prompt: the model has no BOS token",
  );
}

/** Tokens of a conversation, with one BOS token where the model wants it. */
export function chatTokens(
  at: PromptModel,
  messages: readonly ChatMessage[],
): readonly number[] {
  const { tokenizer, tokenizer: { bos, addBos } } = at;
  const ids = tokenizer.encode(chatPrompt(at, messages), { special: true });
  return addBos && bos !== undefined && ids[0] !== bos ? [bos, ...ids] : ids;
}

/**
 * A conversation as the model's chat template writes it, up to where its answer
 * begins. Throws a ModelError where there is no template.
 */
export function chatPrompt(
  { model, tokenizer }: PromptModel,
  messages: readonly ChatMessage[],
): string {
  const text = (id: number | undefined): string =>
    id === undefined ? "" : tokenizer.decode([id]);
  return renderChat(tokenizer.chatTemplate, messages, {
    model,
    bos: text(tokenizer.bos),
    eos: text(tokenizer.eos),
  });
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
