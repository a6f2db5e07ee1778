/**
 * Conversations written as a model was trained to read them.
 *
 * @module
 */
import { Template } from "npm:@huggingface/jinja@0.5.11";
import { ModelError } from "../core/errors.ts";

/** One turn of a conversation; further fields are passed to the template. */
export interface ChatMessage {
  /** Who speaks: "system", "user", "assistant" or what else the template knows. */
  readonly role: string;
  /** What is said. */
  readonly content: string;
  /** Whatever else the template reads, `tool_calls` for instance. */
  readonly [field: string]: unknown;
}

/** What a template may ask for besides the messages. */
export interface RenderChatOptions {
  /** Named in errors. */
  readonly model: string;
  /** Text of the BOS token, "" where there is none. */
  readonly bos?: string;
  /** Text of the EOS token, "" where there is none. */
  readonly eos?: string;
  /** Whether to end where the model's answer begins; default true. */
  readonly addGenerationPrompt?: boolean;
  /** Descriptions of functions the model may call, as JSON schema. */
  readonly tools?: readonly unknown[];
}

/**
 * Renders a conversation with a model's Jinja template.
 *
 * @throws {ModelError} if there is no template, it is broken, or it refuses
 * these messages (roles that do not alternate, say).
 */
export function renderChat(
  template: string | undefined,
  messages: readonly ChatMessage[],
  options: RenderChatOptions,
): string {
  const { model, bos = "", eos = "", addGenerationPrompt = true, tools } =
    options;
  if (template === undefined) {
    throw new ModelError(
      model,
      `it has no chat template, so it cannot take messages: ` +
        `give a prompt, or use a model tuned for chat`,
    );
  }
  const parsed = attempt(
    model,
    "its chat template cannot be parsed",
    () => compile(template),
  );
  return attempt(
    model,
    "its chat template refuses these messages",
    () =>
      parsed.render({
        messages,
        bos_token: bos,
        eos_token: eos,
        add_generation_prompt: addGenerationPrompt,
        ...(tools === undefined ? {} : { tools }),
      }),
  );
}

function attempt<T>(model: string, problem: string, work: () => T): T {
  try {
    return work();
  } catch (cause) {
    throw new ModelError(model, `${problem}: ${(cause as Error).message}`, {
      cause,
    });
  }
}

/** The last template parsed: a conversation renders the same one every turn. */
let last: { readonly text: string; readonly parsed: Template } | undefined;

function compile(text: string): Template {
  if (last?.text !== text) last = { text, parsed: new Template(text) };
  return last.parsed;
}
