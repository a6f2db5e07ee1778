/**
 * `quire run`: continues a text as it is.
 *
 * @module
 */
import { answer, answerJson, finishLine } from "./answer.ts";
import type { Command } from "./command.ts";
import { type Host, UsageError } from "./host.ts";
import { openModel } from "./open.ts";
import { type CliOptions, COMMON, LORA, MODEL, SAMPLING } from "./options.ts";

/** Most tokens to make by default: a base model does not stop by itself. */
const MAX_TOKENS = 256;

/** Continues a prompt, without a chat template. */
export const run: Command = {
  name: "run",
  operands: "MODEL PROMPT",
  summary: "continue a text, without a chat template",
  details:
    `Without PROMPT, standard input is the text. Always takes the likeliest token unless
--temperature is above 0. Default: --max-tokens ${MAX_TOKENS}.`,
  options: [MODEL, ...SAMPLING, ...LORA, ...COMMON],
  async run(options, host, signal) {
    const { model, prompt } = await operandsOf(options, host);
    await using engine = await openModel(model, options, host, signal);
    const request = {
      maxTokens: MAX_TOKENS,
      ...options.generate,
      prompt,
      signal,
    };
    const result = await answer(engine, request, host, options.json);
    if (options.json) host.out(answerJson(model, result, engine));
    else finishLine(result, engine, host);
    signal.throwIfAborted();
    return 0;
  },
};

async function operandsOf(
  { operands, model }: CliOptions,
  host: Host,
): Promise<{ model: string; prompt: string }> {
  const [name, prompt, ...more] = model === undefined
    ? operands
    : [model, ...operands];
  if (name === undefined || name === "") {
    throw new UsageError(
      'Cannot run without a model: "quire run smollm2 TEXT"',
    );
  }
  if (more.length > 0) {
    throw new UsageError(
      `Cannot continue ${more.length + 1} texts: put the prompt in quotes`,
    );
  }
  if (prompt !== undefined) return { model: name, prompt };
  if (host.terminal.in) {
    throw new UsageError(
      'Cannot continue nothing: "quire run MODEL PROMPT", or pipe a text in',
    );
  }
  const lines: string[] = [];
  const input = host.lines();
  for (let got = await input.next(); !got.done; got = await input.next()) {
    lines.push(got.value);
  }
  return { model: name, prompt: lines.join("\n") };
}
