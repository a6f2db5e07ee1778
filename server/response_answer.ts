/**
 * Answers of `/v1/responses`, whole or as events.
 *
 * ```text
 *   response.created, response.in_progress
 *   response.output_item.added, response.content_part.added
 *   response.output_text.delta …
 *   response.output_text.done, response.content_part.done
 *   response.output_item.done
 *   response.completed, or response.incomplete where the length ended it
 * ```
 *
 * @module
 */
import type { Answer } from "./answering.ts";
import type { ResponseBody } from "./schema/responses.ts";
import { type UsageBody, UsageSum } from "./usage.ts";

/** What of a request its answer depends on. */
export interface ResponseShape {
  readonly id: string;
  /** Seconds since 1970. */
  readonly created: number;
  readonly body: ResponseBody;
}

/** The whole answer. */
export async function response(
  answer: Answer,
  shape: ResponseShape,
): Promise<unknown> {
  const made = new Made();
  for await (const part of answer.parts) made.add(part);
  return whole(answer, shape, made);
}

/** The events of a stream. */
export async function* responseEvents(
  answer: Answer,
  shape: ResponseShape,
): AsyncGenerator<unknown> {
  const made = new Made(), begun = envelope(answer, shape, "in_progress");
  const at = {
    item_id: itemOf(shape).id,
    output_index: 0,
    content_index: 0,
  } as const;
  let sequence_number = 0;
  const event = (type: string, fields: Record<string, unknown>) => ({
    type: `response.${type}`,
    sequence_number: sequence_number++,
    ...fields,
  });
  yield event("created", { response: begun });
  yield event("in_progress", { response: begun });
  const item = { ...itemOf(shape), status: "in_progress", content: [] };
  yield event("output_item.added", { output_index: 0, item });
  yield event("content_part.added", { ...at, part: partOf("") });
  for await (const part of answer.parts) {
    made.add(part);
    if (part.text === "") continue;
    yield event("output_text.delta", { ...at, delta: part.text, logprobs: [] });
  }
  const { text } = made;
  yield event("output_text.done", { ...at, text, logprobs: [] });
  yield event("content_part.done", { ...at, part: partOf(text) });
  const done = whole(answer, shape, made);
  yield event("output_item.done", { output_index: 0, item: done.output[0] });
  yield event(done.status, { response: done });
}

/** What there is of an answer. */
class Made {
  readonly #usage = new UsageSum();
  text = "";
  complete = true;

  add({ text, usage, finish }: {
    readonly text: string;
    readonly usage: Parameters<UsageSum["add"]>[0] | undefined;
    readonly finish: string | undefined;
  }): void {
    this.text += text;
    if (usage === undefined) return;
    this.#usage.add(usage, true);
    this.complete = finish === "stop";
  }

  get usage(): UsageBody {
    return this.#usage.body;
  }
}

function whole(answer: Answer, shape: ResponseShape, made: Made) {
  const status = made.complete ? "completed" : "incomplete";
  const content = [partOf(made.text)];
  const { prompt_tokens, completion_tokens, total_tokens } = made.usage;
  return {
    ...envelope(answer, shape, status),
    ...made.complete
      ? {}
      : { incomplete_details: { reason: "max_output_tokens" } },
    output: [{ ...itemOf(shape), status, content }],
    usage: {
      input_tokens: prompt_tokens,
      input_tokens_details: made.usage.prompt_tokens_details,
      output_tokens: completion_tokens,
      output_tokens_details: { reasoning_tokens: 0 },
      total_tokens,
    },
  };
}

function itemOf({ id }: ResponseShape) {
  return { id: `msg_${id.slice(5)}`, type: "message", role: "assistant" };
}

function partOf(text: string) {
  return { type: "output_text", text, annotations: [], logprobs: [] };
}

function envelope<S extends string>(
  { model }: Answer,
  { id, created, body }: ResponseShape,
  status: S,
) {
  return {
    id,
    object: "response",
    created_at: created,
    status,
    error: null,
    incomplete_details: null as { readonly reason: string } | null,
    instructions: body.instructions ?? null,
    max_output_tokens: body.max_output_tokens ?? null,
    metadata: {},
    model,
    output: [] as readonly unknown[],
    parallel_tool_calls: true,
    previous_response_id: null,
    store: false,
    temperature: body.temperature ?? null,
    text: { format: body.text?.format ?? { type: "text" } },
    tool_choice: "auto",
    tools: [],
    top_p: body.top_p ?? null,
    truncation: "disabled",
    usage: null as unknown,
    user: body.user ?? null,
  };
}
