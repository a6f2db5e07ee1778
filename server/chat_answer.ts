/**
 * Answers of a chat, whole or in chunks.
 *
 * ```text
 *   {role, content: null}   for each choice, first of all
 *   {content} …, {tool_calls: [{index, id, function}]} …
 *   {} and finish_reason    for each choice, its last
 *   choices: [], usage      where it is asked for, last of all
 * ```
 *
 * @module
 */
import type { GeneratePart } from "../engine/options.ts";
import type { Answer } from "./answering.ts";
import { chatLogprobs } from "./logprobs.ts";
import type { Reader, Said } from "./tools/reader.ts";
import { UsageSum } from "./usage.ts";

/** What of a request its answer depends on. */
export interface ChatShape {
  /** For the client, the same in all chunks. */
  readonly id: string;
  readonly created: number;
  /** Answers. */
  readonly n: number;
  readonly reader: () => Reader;
  /** Whether a last chunk tells the usage. */
  readonly usage: boolean;
  /** Whether each chunk tells how many tokens there are so far. */
  readonly timings: boolean;
  /** Hears of the tokens of the first answer, when it is whole. */
  readonly onTokens?: ((tokens: readonly number[]) => void) | undefined;
}

/** Names the build of a model: its weights and its plan. */
export function fingerprintOf({ engine }: Pick<Answer, "engine">): string {
  return `b_${engine.plan.fingerprint.slice(0, 12)}`;
}

/** What is the same in all chunks. */
function head(answer: Answer, shape: ChatShape, object: string) {
  return {
    id: shape.id,
    object,
    created: shape.created,
    model: answer.model,
    system_fingerprint: fingerprintOf(answer),
  };
}

/** The chunks of a stream, in the order that clients rely on. */
export async function* chatChunks(
  answer: Answer,
  shape: ChatShape,
): AsyncGenerator<unknown> {
  const base = head(answer, shape, "chat.completion.chunk");
  const began = performance.now();
  let made = 0;
  const chunk = (
    index: number,
    delta: unknown,
    { logprobs = null as unknown, finish = null as string | null } = {},
  ) => ({
    ...base,
    choices: [{ index, delta, logprobs, finish_reason: finish }],
    ...shape.timings && made > 0
      ? { timings: soFar(made, performance.now() - began) }
      : {},
  });
  for (let i = 0; i < shape.n; i++) {
    yield chunk(i, { role: "assistant", content: null });
  }
  const choices = choicesOf(shape), sum = new UsageSum();
  for await (const part of answer.parts) {
    const choice = choices[part.index]!, { index } = part;
    made += part.tokens.length;
    let logprobs = chatLogprobs(answer.engine.tokenizer, part);
    for (const delta of deltasOf(choice, choice.take(part))) {
      yield chunk(index, delta, { logprobs });
      logprobs = null;
    }
    if (hasContent(logprobs)) yield chunk(index, { content: "" }, { logprobs });
    if (part.usage === undefined) continue;
    sum.add(part.usage, index === 0);
    yield chunk(index, {}, { finish: choice.finish(part.finish) });
  }
  shape.onTokens?.(choices[0]!.tokens);
  if (!shape.usage) return;
  yield { ...base, choices: [], usage: sum.body, timings: sum.timings };
}

/** The whole answer. */
export async function chatCompletion(
  answer: Answer,
  shape: ChatShape,
): Promise<unknown> {
  const choices = choicesOf(shape), sum = new UsageSum();
  const { tokenizer } = answer.engine;
  for await (const part of answer.parts) {
    const choice = choices[part.index]!;
    choice.add(choice.take(part));
    const logprobs = chatLogprobs(tokenizer, part);
    if (hasContent(logprobs)) choice.logprobs.push(...logprobs.content);
    if (part.usage === undefined) continue;
    sum.add(part.usage, part.index === 0);
    choice.finish(part.finish);
  }
  shape.onTokens?.(choices[0]!.tokens);
  return {
    ...head(answer, shape, "chat.completion"),
    choices: choices.map((choice, index) => ({
      index,
      message: choice.message(),
      logprobs: choice.logprobs.length > 0
        ? { content: choice.logprobs, refusal: null }
        : null,
      finish_reason: choice.finished,
    })),
    usage: sum.body,
    timings: sum.timings,
  };
}

function soFar(made: number, ms: number): Record<string, number> {
  return {
    predicted_n: made,
    predicted_ms: ms,
    predicted_per_second: ms > 0 ? made * 1000 / ms : 0,
  };
}

function hasContent(
  logprobs: unknown,
): logprobs is { content: readonly unknown[] } {
  return (logprobs as { content?: readonly unknown[] } | null)?.content
        ?.length !== undefined &&
    (logprobs as { content: readonly unknown[] }).content.length > 0;
}

function choicesOf({ n, reader }: ChatShape): readonly Choice[] {
  return Array.from({ length: n }, () => new Choice(reader()));
}

/** A call as it is told. */
interface Call {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; arguments: string };
}

/** One answer as it comes. */
class Choice {
  readonly #reader: Reader;
  readonly calls: Call[] = [];
  readonly tokens: number[] = [];
  readonly logprobs: unknown[] = [];
  finished: string | null = null;
  #text = "";

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  /** What a part says. */
  take({ text, tokens, usage }: GeneratePart): Said[] {
    this.tokens.push(...tokens);
    const said = this.#reader.push(text);
    return usage === undefined ? said : [...said, ...this.#reader.end()];
  }

  /** Keeps what was said, for the whole answer. */
  add(said: readonly Said[]): void {
    for (const one of said) {
      if ("text" in one) this.#text += one.text;
      else if ("name" in one) this.begin(one.name);
      else this.calls[one.call]!.function.arguments += one.arguments;
    }
  }

  begin(name: string): Call {
    const id = `call_${crypto.randomUUID().replaceAll("-", "").slice(0, 24)}`;
    const call: Call = {
      id,
      type: "function",
      function: { name, arguments: "" },
    };
    this.calls.push(call);
    return call;
  }

  /** "deadline" has no name among clients: the answer was cut, as by its length. */
  finish(finish: string | undefined): string {
    const called = finish === "stop" && this.calls.length > 0;
    return this.finished = called
      ? "tool_calls"
      : finish === "stop"
      ? "stop"
      : "length";
  }

  message(): unknown {
    const { calls } = this;
    const content = this.#text === "" && calls.length > 0 ? null : this.#text;
    return {
      role: "assistant",
      content,
      refusal: null,
      ...calls.length > 0 ? { tool_calls: calls } : {},
    };
  }
}

function deltasOf(choice: Choice, said: readonly Said[]): unknown[] {
  return said.map((one) => {
    if ("text" in one) return { content: one.text };
    if ("name" in one) {
      const call = choice.begin(one.name);
      return { tool_calls: [{ index: one.call, ...call }] };
    }
    const { call: index, arguments: text } = one;
    return { tool_calls: [{ index, function: { arguments: text } }] };
  });
}
