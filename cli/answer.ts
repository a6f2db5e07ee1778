/**
 * One answer: shown as it comes, and what it took.
 *
 * @module
 */
import type { Engine, Finish, GenerateOptions, Usage } from "../mod.ts";
import type { Host } from "./host.ts";
import { byOwner, statisticsLine } from "./statistics.ts";

/** A whole answer, or what there was of it when it was stopped. */
export interface Answer {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly finish: Finish | "aborted";
  /** Undefined where it was stopped. */
  readonly usage: Usage | undefined;
}

/**
 * Generates, writing parts to standard output as they come unless `silent`.
 * When `request.signal` aborts, what there is so far is the answer.
 */
export async function answer(
  engine: Engine,
  request: GenerateOptions,
  host: Host,
  silent: boolean,
): Promise<Answer> {
  let text = "";
  const tokens: number[] = [];
  try {
    for await (const part of engine.generate(request)) {
      text += part.text;
      for (const token of part.tokens) tokens.push(token);
      if (!silent && part.text !== "") host.out(shown(part.text, host));
      const { finish, usage } = part;
      if (finish !== undefined) return { text, tokens, finish, usage };
    }
  } catch (error) {
    if (!request.signal?.aborted || error !== request.signal.reason) {
      throw error;
    }
  }
  return { text, tokens, finish: "aborted", usage: undefined };
}

/** A model's text is not trusted with the terminal: no escape sequences. */
function shown(text: string, host: Host): string {
  if (!host.terminal.out) return text;
  // deno-lint-ignore no-control-regex
  return text.replace(/[\0-\x08\x0b-\x1f\x7f-\x9f]/g, "\ufffd");
}

/** Ends the answer's line and says what it took, on standard error. */
export function finishLine(answer: Answer, engine: Engine, host: Host): void {
  host.out("\n");
  const { usage, finish } = answer;
  if (usage === undefined) {
    host.err("(stopped)\n");
    return;
  }
  if (finish === "length") {
    host.err(
      `(ended by its length, ${usage.completionTokens} tokens; --max-tokens and --context give more)\n`,
    );
  }
  host.err(`[${statisticsLine(usage, engine.memory())}]\n`);
}

/** An answer as a line of JSON. */
export function answerJson(
  model: string,
  answer: Answer,
  engine: Engine,
): string {
  const memory = engine.memory();
  const owners = byOwner(memory).map(({ owner, bytes, peak }) =>
    [owner, { bytes, peak }] as const
  );
  return JSON.stringify({
    model,
    text: answer.text,
    tokens: answer.tokens,
    finish: answer.finish,
    usage: answer.usage ?? null,
    memory: {
      owners: Object.fromEntries(owners),
      tiers: memory.tiers,
      lines: memory.lines,
    },
  }) + "\n";
}
