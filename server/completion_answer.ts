/**
 * Continued texts, whole or in chunks.
 *
 * @module
 */
import type { Answer, Part } from "./answering.ts";
import { fingerprintOf } from "./chat_answer.ts";
import { completionLogprobs } from "./logprobs.ts";
import { UsageSum } from "./usage.ts";

/** What of a request its answer depends on. */
export interface CompletionShape {
  readonly id: string;
  readonly created: number;
  readonly prompts: number;
  /** Answers to each prompt. Answer j to prompt i is choice `i * n + j`. */
  readonly n: number;
  /** Whether a last chunk tells the usage. */
  readonly usage: boolean;
  /** Hears of the tokens of the first answer, when it is whole. */
  readonly onTokens?: ((tokens: readonly number[]) => void) | undefined;
}

function head(answer: Answer, { id, created }: CompletionShape) {
  return {
    id,
    object: "text_completion",
    created,
    model: answer.model,
    system_fingerprint: fingerprintOf(answer),
  };
}

/** The chunks of a stream. */
export async function* completionChunks(
  answer: Answer,
  shape: CompletionShape,
): AsyncGenerator<unknown> {
  const base = head(answer, shape), sum = new UsageSum();
  const choices = choicesOf(shape);
  for await (const part of answer.parts) {
    const index = part.request * shape.n + part.index;
    const choice = choices[index]!;
    const { text, logprobs } = choice.take(part, answer);
    const says = text !== "" || logprobs !== null;
    if (says) {
      yield {
        ...base,
        choices: [{ index, text, logprobs, finish_reason: null }],
      };
    }
    if (part.usage === undefined) continue;
    sum.add(part.usage, part.index === 0);
    const finish_reason = choice.finished;
    yield {
      ...base,
      choices: [{ index, text: "", logprobs: null, finish_reason }],
    };
  }
  shape.onTokens?.(choices[0]!.tokens);
  if (!shape.usage) return;
  yield { ...base, choices: [], usage: sum.body, timings: sum.timings };
}

/** The whole answer. */
export async function completion(
  answer: Answer,
  shape: CompletionShape,
): Promise<unknown> {
  const sum = new UsageSum(), choices = choicesOf(shape);
  for await (const part of answer.parts) {
    choices[part.request * shape.n + part.index]!.take(part, answer);
    if (part.usage !== undefined) sum.add(part.usage, part.index === 0);
  }
  shape.onTokens?.(choices[0]!.tokens);
  return {
    ...head(answer, shape),
    choices: choices.map((choice, index) => ({
      index,
      text: choice.text,
      logprobs: choice.logprobs,
      finish_reason: choice.finished,
    })),
    usage: sum.body,
    timings: sum.timings,
  };
}

function choicesOf({ prompts, n }: CompletionShape): readonly Choice[] {
  return Array.from({ length: prompts * n }, () => new Choice());
}

/** Lists of equal length, one entry a token. */
type Logprobs = Record<string, unknown[]>;

/** One answer as it comes. */
class Choice {
  readonly tokens: number[] = [];
  text = "";
  logprobs: Logprobs | null = null;
  finished: string | null = null;
  /** Text of the tokens that have log-probabilities. */
  #spelled = 0;

  take(
    part: Part,
    { engine }: Answer,
  ): { readonly text: string; readonly logprobs: Logprobs | null } {
    const { text, tokens, finish, usage } = part;
    const more = completionLogprobs(engine.tokenizer, part, this.#spelled) as
      | Logprobs
      | null;
    if (more !== null) {
      this.#spelled += more.tokens!.reduce<number>(
        (sum, t) => sum + (t as string).length,
        0,
      );
      this.logprobs ??= {};
      for (const [name, list] of Object.entries(more)) {
        (this.logprobs[name] ??= []).push(...list);
      }
    }
    this.text += text;
    this.tokens.push(...tokens);
    if (usage !== undefined) {
      this.finished = finish === "stop" ? "stop" : "length";
    }
    return { text, logprobs: more !== null && tokens.length > 0 ? more : null };
  }
}
