/**
 * `POST /v1/responses`.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { ChatMessage, GenerateOptions } from "../../engine/options.ts";
import { beginAnswer } from "../answering.ts";
import { readBody } from "../body.ts";
import { chatMessages } from "../chat_messages.ts";
import type { Env } from "../context.ts";
import { response, responseEvents } from "../response_answer.ts";
import { type ResponseBody, responseBody } from "../schema/responses.ts";
import { eventStream } from "../stream.ts";
import { formatOf, wantedOf } from "../wanted.ts";

/** Answers in the manner of OpenAI's newer endpoint. */
export async function respond(c: Context<Env>): Promise<Response> {
  const body = await readBody(c, responseBody);
  const { settings } = c.get("serving");
  const messages = messagesOf(body);
  const { model, user, stream } = body;
  const answer = await beginAnswer(
    c,
    { model, user, stream, n: 1 },
    (engine): readonly GenerateOptions[] => {
      const format = formatOf(responseFormatOf(body));
      return [{
        ...wantedOf(body, body.max_output_tokens, engine, settings),
        tokens: engine.promptTokens(messages),
        ...format === undefined ? {} : { format },
      }];
    },
  );
  const shape = {
    id: `resp_${c.get("requestId").replaceAll("-", "")}`,
    created: Math.floor(Date.now() / 1000),
    body,
  };
  if (body.stream) {
    return eventStream({
      events: responseEvents(answer, shape),
      close: () => answer[Symbol.asyncDispose](),
      keepAliveMs: settings.keepAliveMs,
      named: true,
    });
  }
  await using _ = answer;
  return c.json(await response(answer, shape));
}

function messagesOf({ input, instructions }: ResponseBody): ChatMessage[] {
  const system = instructions
    ? [{ role: "system" as const, content: instructions }]
    : [];
  if (typeof input === "string") {
    return chatMessages([...system, { role: "user", content: input }]);
  }
  return chatMessages([
    ...system,
    ...input.map(({ role, content }) => ({
      role,
      content: typeof content === "string"
        ? content
        : content.map(({ text }) => ({ type: "text" as const, text })),
    })),
  ]);
}

function responseFormatOf({ text }: ResponseBody) {
  const format = text?.format;
  if (format?.type !== "json_schema") return format;
  const { type, ...json_schema } = format;
  return { type, json_schema };
}
