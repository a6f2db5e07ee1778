/**
 * `POST /v1/completions`.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { Engine } from "../../engine/engine.ts";
import type { GenerateOptions } from "../../engine/options.ts";
import { beginAnswer, tenantOf } from "../answering.ts";
import { readBody } from "../body.ts";
import {
  completion,
  completionChunks,
  type CompletionShape,
} from "../completion_answer.ts";
import type { Env } from "../context.ts";
import { badRequest } from "../errors.ts";
import { promptsOf, tokensOf } from "../prompts.ts";
import { type CompletionBody, completionBody } from "../schema/completion.ts";
import { checkSlot, rememberSlot } from "../slot_field.ts";
import { eventStream } from "../stream.ts";
import { formatOf, wantedOf } from "../wanted.ts";

/** Most answers of one request, over all its prompts. */
const MOST = 128;

/** Continues texts. */
export async function complete(c: Context<Env>): Promise<Response> {
  const body = await readBody(c, completionBody);
  const prompts = promptsOf(body.prompt), n = body.n ?? 1;
  const made = prompts.length * Math.max(n, body.best_of ?? n);
  checkTogether(body, made);
  const { settings } = c.get("serving");
  checkSlot(body.id_slot, prompts.length * n, settings.slots);
  let first: readonly number[] = [];
  const make = (engine: Engine): readonly GenerateOptions[] => {
    const format = formatOf(body.response_format);
    const wanted = wantedOf(body, body.max_tokens ?? 16, engine, settings);
    const each = prompts.map((prompt) => tokensOf(engine, prompt, "prompt"));
    first = each[0]!;
    return each.map((tokens) => ({
      ...wanted,
      tokens,
      ...body.best_of == null ? {} : { bestOf: body.best_of },
      ...body.logprobs == null ? {} : { logprobs: body.logprobs },
      ...format === undefined ? {} : { format },
    }));
  };
  const { model, user, stream } = body;
  const asker = { model, user, stream, n: made };
  const answer = await beginAnswer(c, asker, make);
  const shape: CompletionShape = {
    id: `cmpl-${c.get("requestId")}`,
    created: Math.floor(Date.now() / 1000),
    prompts: prompts.length,
    n,
    usage: body.stream_options?.include_usage ?? false,
    onTokens: rememberSlot(
      c.get("serving"),
      tenantOf(c, user),
      body.id_slot,
      answer.model,
      () => first,
    ),
  };
  if (body.stream) {
    return eventStream({
      events: completionChunks(answer, shape),
      close: () => answer[Symbol.asyncDispose](),
      keepAliveMs: settings.keepAliveMs,
    });
  }
  await using _ = answer;
  return c.json(await completion(answer, shape));
}

/** Throws an ApiError for fields that contradict each other. */
function checkTogether(body: CompletionBody, made: number): void {
  const { best_of, n, stream, stream_options } = body;
  if (best_of != null && best_of < (n ?? 1)) {
    throw badRequest('"best_of" has to be "n" or more', "best_of");
  }
  if (best_of != null && best_of > (n ?? 1) && stream) {
    throw badRequest(
      'Cannot stream the best of several: leave "stream" out, or "best_of"',
      "best_of",
      "unsupported_value",
    );
  }
  if (stream_options && !stream) {
    throw badRequest(
      '"stream_options" go with "stream": true',
      "stream_options",
    );
  }
  if (made <= MOST) return;
  throw badRequest(
    `Cannot make ${made} answers in one request: ${MOST} are the most`,
    "prompt",
  );
}
