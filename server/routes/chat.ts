/**
 * `POST /v1/chat/completions`.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { Engine } from "../../engine/engine.ts";
import type { GenerateOptions } from "../../engine/options.ts";
import { beginAnswer, tenantOf } from "../answering.ts";
import { readBody } from "../body.ts";
import { chatChunks, chatCompletion, type ChatShape } from "../chat_answer.ts";
import { chatMessages } from "../chat_messages.ts";
import type { Env } from "../context.ts";
import { badRequest } from "../errors.ts";
import { type ChatBody, chatBody } from "../schema/chat.ts";
import { checkSlot, rememberSlot } from "../slot_field.ts";
import { eventStream } from "../stream.ts";
import { type Choice, choiceOf } from "../tools/choice.ts";
import { formatOf, wantedOf } from "../wanted.ts";

/** Answers a conversation. */
export async function chat(c: Context<Env>): Promise<Response> {
  const body = await readBody(c, chatBody);
  checkTogether(body);
  const { settings } = c.get("serving");
  checkSlot(body.id_slot, body.n, settings.slots);
  const messages = chatMessages(body.messages);
  const n = body.n ?? 1;
  let choice: Choice | undefined, prompt: readonly number[] = [];
  const make = (engine: Engine): readonly GenerateOptions[] => {
    choice = choiceOf(body, engine.tokenizer.chatTemplate);
    const { tools } = choice;
    prompt = engine.promptTokens(messages, { tools });
    const most = body.max_completion_tokens ?? body.max_tokens;
    const format = choice.format ?? formatOf(body.response_format) ??
      (body.json_schema == null
        ? undefined
        : { type: "schema" as const, schema: body.json_schema });
    return [{
      ...wantedOf(body, most, engine, settings),
      tokens: prompt,
      ...format === undefined ? {} : { format },
      ...body.logprobs ? { logprobs: body.top_logprobs ?? 0 } : {},
    }];
  };
  const { model, user, stream } = body;
  const answer = await beginAnswer(
    c,
    { model, user, n, stream },
    make,
  );
  const shape: ChatShape = {
    id: `chatcmpl-${c.get("requestId")}`,
    created: Math.floor(Date.now() / 1000),
    n,
    reader: choice!.reader,
    usage: body.stream_options?.include_usage ?? false,
    timings: body.timings_per_token ?? false,
    onTokens: rememberSlot(
      c.get("serving"),
      tenantOf(c, body.user),
      body.id_slot,
      answer.model,
      () => prompt,
    ),
  };
  if (body.stream) {
    return eventStream({
      events: chatChunks(answer, shape),
      close: () => answer[Symbol.asyncDispose](),
      keepAliveMs: settings.keepAliveMs,
    });
  }
  await using _ = answer;
  return c.json(await chatCompletion(answer, shape));
}

/** Throws an ApiError for fields that contradict each other. */
function checkTogether(body: ChatBody): void {
  if (body.top_logprobs && !body.logprobs) {
    throw badRequest(
      '"top_logprobs" goes with "logprobs": true',
      "top_logprobs",
    );
  }
  if (body.stream_options && !body.stream) {
    throw badRequest(
      '"stream_options" go with "stream": true',
      "stream_options",
    );
  }
  const { max_tokens, max_completion_tokens } = body;
  if (max_tokens != null && max_completion_tokens != null) {
    throw badRequest(
      'Only one of "max_tokens" and "max_completion_tokens" can be given',
      "max_tokens",
    );
  }
  const format = body.response_format?.type ?? "text";
  if (format !== "text" && body.json_schema != null) {
    throw badRequest(
      'Only one of "response_format" and "json_schema" can be given',
      "json_schema",
    );
  }
  const calls = body.tools?.length && body.tool_choice !== "none";
  if (calls && (format !== "text" || body.json_schema != null)) {
    throw badRequest(
      'Cannot hold an answer that may call tools to a format: leave "tools" out, or "response_format"',
      "response_format",
      "unsupported_value",
    );
  }
}
