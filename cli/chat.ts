/**
 * `quire chat`: one answer, or a conversation.
 *
 * @module
 */
import { ModelError } from "../mod.ts";
import { catalog } from "../models/catalog.ts";
import type { Command } from "./command.ts";
import { converse } from "./converse.ts";
import { UsageError } from "./host.ts";
import { DEFAULT_MODEL, openModel } from "./open.ts";
import {
  type CliOptions,
  COMMON,
  LORA,
  MODEL,
  SAMPLING,
  SESSION,
  SYSTEM,
} from "./options.ts";
import { ChatSession, sessionPath } from "./session.ts";
import { Talk } from "./talk.ts";

/**
 * What holds where the command line says nothing else. Small models fall into
 * repeating themselves; the penalty keeps them out of it.
 */
const DEFAULTS = {
  temperature: 0.4,
  frequencyPenalty: 0.1,
  maxTokens: 1024,
};

/** Answers a prompt and stops; without one, talks until its input ends. */
export const chat: Command = {
  name: "chat",
  operands: "[MODEL] [PROMPT]",
  summary: "talk to a model, or have one prompt answered",
  details:
    `Without MODEL it is ${DEFAULT_MODEL}. Without PROMPT, each line of standard input is a
turn of a conversation. Defaults: --temperature ${DEFAULTS.temperature},
--frequency-penalty ${DEFAULTS.frequencyPenalty}, --max-tokens ${DEFAULTS.maxTokens}. With --session the
conversation is kept after every turn, under a name or in a file, and goes on the next
time.`,
  options: [MODEL, SYSTEM, ...SESSION, ...SAMPLING, ...LORA, ...COMMON],
  async run(options, host, signal) {
    const { model, prompt } = await operandsOf(options);
    const path = options.session === undefined
      ? undefined
      : sessionPath(options.session);
    const wanted: CliOptions = {
      ...options,
      generate: { ...DEFAULTS, ...options.generate },
    };
    await using engine = await openModel(model, options, host, signal);
    if (engine.tokenizer.chatTemplate === undefined) {
      throw new ModelError(
        model,
        'it has no chat template; continue a text with "quire run MODEL PROMPT", ' +
          "or choose a model tuned for chat",
      );
    }
    const session = path === undefined
      ? undefined
      : await ChatSession.open(engine, path, host, {
        replay: options.replay ?? false,
        silent: options.json,
      });
    const talk = new Talk(engine, model, wanted, host, session);
    if (prompt === undefined) return await converse(talk, model, host);
    signal.throwIfAborted();
    signal.addEventListener("abort", () => talk.stop(), { once: true });
    await talk.turn(prompt);
    signal.throwIfAborted();
    return talk.failed ? 1 : 0;
  },
};

/** Which operand is the model and which the prompt. */
export async function operandsOf(
  { operands, model }: Pick<CliOptions, "operands" | "model">,
): Promise<{ model: string; prompt: string | undefined }> {
  const [first, second] = operands;
  if (first === undefined) {
    return { model: model ?? DEFAULT_MODEL, prompt: undefined };
  }
  if (operands.includes("")) {
    throw new UsageError("Cannot answer an empty prompt: give a text");
  }
  if (model !== undefined && operands.length === 1) {
    return { model, prompt: first };
  }
  if (model === undefined && operands.length === 1) {
    return await namesModel(first)
      ? { model: first, prompt: undefined }
      : { model: DEFAULT_MODEL, prompt: first };
  }
  if (model === undefined && operands.length === 2) {
    return { model: first, prompt: second };
  }
  throw new UsageError(
    `Cannot take ${operands.length} operands: put the prompt in quotes`,
  );
}

/** Whether a lone operand is a model rather than a prompt. */
async function namesModel(text: string): Promise<boolean> {
  if (catalog.has(text) || /^(hf|https?|file):\S+$/.test(text)) return true;
  if (/^\S+\.gguf$/i.test(text)) return true;
  for (const path of [text, `${text}/config.json`]) {
    const stat = await Deno.stat(path).catch(() => undefined);
    if (stat?.isFile) return true;
  }
  return false;
}
