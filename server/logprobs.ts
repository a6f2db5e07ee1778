/**
 * Log-probabilities, as clients read them.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";
import type { GeneratePart } from "../engine/options.ts";

/** One token in a chat's answer. */
export interface ChatLogprob {
  readonly token: string;
  readonly logprob: number;
  readonly bytes: readonly number[];
}

/** `logprobs` of a choice in a chat; null where they are not asked for. */
export function chatLogprobs(
  tokenizer: Engine["tokenizer"],
  { logprobs }: GeneratePart,
): unknown {
  if (logprobs === undefined) return null;
  return {
    content: logprobs.map((entry) => ({
      ...said(tokenizer, entry),
      top_logprobs: entry.top.map((other) => said(tokenizer, other)),
    })),
    refusal: null,
  };
}

/** `logprobs` of a choice of a completion. `offset`: length of the text before. */
export function completionLogprobs(
  tokenizer: Engine["tokenizer"],
  { logprobs }: GeneratePart,
  offset: number,
): unknown {
  if (logprobs === undefined) return null;
  const tokens = logprobs.map(({ token }) => textOf(tokenizer, token));
  let at = offset;
  return {
    tokens,
    token_logprobs: logprobs.map((l) => finite(l.logprob)),
    top_logprobs: logprobs.map(({ top }) =>
      Object.fromEntries(
        top.map((l) => [textOf(tokenizer, l.token), finite(l.logprob)]),
      )
    ),
    text_offset: tokens.map((text) => {
      const here = at;
      at += text.length;
      return here;
    }),
  };
}

function said(
  tokenizer: Engine["tokenizer"],
  { token, logprob }: { readonly token: number; readonly logprob: number },
): ChatLogprob {
  return {
    token: textOf(tokenizer, token),
    logprob: finite(logprob),
    bytes: [...tokenizer.bytes(token)],
  };
}

/** Half a character is U+FFFD; its bytes are in `bytes`. */
function textOf(tokenizer: Engine["tokenizer"], token: number): string {
  return tokenizer.decode([token]);
}

/** JSON has no infinity. */
function finite(logprob: number): number {
  return Math.max(logprob, -9999);
}
