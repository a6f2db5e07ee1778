/**
 * What a request must be to be taken.
 *
 * @module
 */
import { saltOf } from "./adapters.ts";
import type { RequestState } from "./request_state.ts";
import type { GenRequest } from "./scheduler_types.ts";

/** Throws a RangeError on an empty prompt or numbers out of bounds. */
export function checkRequest(
  { id, prompt, maxTokens, logits, deadline }: GenRequest,
  maxLength: number,
): void {
  const refuse = (why: string): never => {
    throw new RangeError(`Cannot add request "${id}": ${why}`);
  };
  if (prompt.length === 0) {
    refuse("its prompt is empty, one token is the least");
  }
  if (!Number.isInteger(maxTokens) || maxTokens < 0) {
    refuse(`maxTokens is ${maxTokens}, a whole number from 0 is wanted`);
  }
  if (Number.isNaN(deadline)) {
    refuse(`its deadline is ${deadline}, a time in milliseconds is wanted`);
  }
  if (
    typeof logits === "number" &&
    !(Number.isInteger(logits) && logits >= 0 && logits < prompt.length)
  ) {
    refuse(
      `logits are wanted from position ${logits}, its prompt has 0 to ${
        prompt.length - 1
      }`,
    );
  }
  if (prompt.length + maxTokens > maxLength) {
    refuse(
      `${prompt.length} tokens of prompt and ${maxTokens} to sample are above ${maxLength}`,
    );
  }
}

/**
 * Puts a request into the family of another. Throws a TypeError where the two have
 * different prompts, tenants or adapters.
 */
export function joinFamily(s: RequestState, relative: RequestState): void {
  const { prompt, id } = s.request;
  if (
    prompt.length !== relative.promptLength ||
    prompt.some((token, i) => token !== relative.history[i]) ||
    saltOf(s.request) !== saltOf(relative.request)
  ) {
    throw new TypeError(
      `Cannot add request "${id}": it shares with "${relative.request.id}", which has another prompt, tenant or adapters`,
    );
  }
  relative.family ??= [relative];
  relative.family.push(s);
  s.family = relative.family;
}
