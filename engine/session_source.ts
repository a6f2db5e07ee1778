/**
 * What a session holds of what the caller gives.
 *
 * @module
 */
import type { Adapters } from "./adapters.ts";
import { Conversation } from "./conversation.ts";
import { chatTokens, checkTokens, type PromptModel } from "./prompt.ts";
import { messageOf } from "./session_text.ts";
import type { SessionSource, SessionState } from "./session_types.ts";

/** A session's state, and whose it is. */
export interface Source extends SessionState {
  readonly tenant: string | undefined;
}

/**
 * A conversation as of its last whole turn, or tokens and turns as they are given.
 *
 * @throws {RangeError} for tokens outside the vocabulary, or an adapter that is not
 * loaded.
 * @throws {TypeError} for messages without a role or a content.
 * @throws {ModelError} for messages alone where there is no chat template.
 */
export function sessionOf(
  model: PromptModel & { readonly adapters: Adapters },
  session: Conversation | SessionSource,
): Source {
  if (session instanceof Conversation) return ofConversation(model, session);
  const { messages = [], tokens, sampler } = session;
  messages.forEach(messageOf);
  const ids = tokens ??
    (messages.length > 0 ? chatTokens(model, messages) : []);
  if (ids.length > 0) checkTokens(ids, model.tokenizer.vocab);
  return {
    messages,
    tokens: [...ids],
    past: "",
    sampler,
    cut: false,
    tenant: undefined,
    adapters: model.adapters.marks(session),
  };
}

function ofConversation(
  model: PromptModel,
  { state: { messages, text, tokens, cut, tenant, adapters } }: Conversation,
): Source {
  // Where a stop text was cut off, only what was asked is found again.
  const answered = messages.some(({ role }) => role === "assistant");
  return {
    messages,
    tokens: text !== "" || !answered ? tokens : chatTokens(model, messages),
    past: text,
    sampler: cut,
    cut: cut !== undefined,
    tenant,
    adapters,
  };
}
