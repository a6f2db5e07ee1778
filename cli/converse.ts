/**
 * A conversation on standard input and output.
 *
 * @module
 */
import type { Engine } from "../mod.ts";
import { answer, answerJson, finishLine } from "./answer.ts";
import { Conversation } from "./conversation.ts";
import type { Host } from "./host.ts";
import type { CliOptions } from "./options.ts";
import { memoryTable } from "./statistics.ts";

const HELP = `/help   this
/clear  forget the conversation
/stats  who holds how many bytes
/exit   end; so do Ctrl-D and a second Ctrl-C
Ctrl-C  stop the answer
`;

/** Part of the context that is kept free for the next answer. */
const ROOM = 1 / 4;

/**
 * Reads a line, answers it, until the input ends. Meta text goes to standard
 * error, so that standard output holds answers only.
 *
 * Returns the exit status: 1 where a turn failed and nobody watched.
 */
export async function converse(
  engine: Engine,
  model: string,
  options: CliOptions,
  host: Host,
): Promise<number> {
  const talk = new Talk(engine, model, options, host);
  const watched = host.terminal.in;
  if (watched) host.err(`${model}, /help says what works\n`);
  let wake: (() => void) | undefined, pressed = 0;
  using _ = host.onInterrupt(() => {
    pressed++;
    talk.stop();
    wake?.();
  });
  const lines = host.lines();
  let line: Promise<IteratorResult<string>> | undefined;
  for (;;) {
    if (watched) host.err("> ");
    const interrupt = new Promise<undefined>((resolve) =>
      wake = () => resolve(undefined)
    );
    line ??= lines.next();
    const got = await Promise.race([line, interrupt]);
    wake = undefined;
    if (got === undefined) {
      host.err("\n");
      if (pressed > 1 || !watched) return 130;
      host.err("(Ctrl-C again, Ctrl-D or /exit ends)\n");
      continue;
    }
    line = undefined;
    if (got.done) {
      if (watched) host.err("\n");
      break;
    }
    pressed = 0;
    const text = got.value.trim();
    if (text === "/exit") break;
    if (/^\/\w*$/.test(text)) talk.command(text);
    else if (text !== "") await talk.turn(text);
    // Ctrl-C ends a program that nobody types into.
    if (pressed > 0 && !watched) return 130;
  }
  return talk.failed && !watched ? 1 : 0;
}

/** The conversation's state and what may be done with it. */
class Talk {
  /** A turn could not be answered. */
  failed = false;
  readonly #engine: Engine;
  readonly #model: string;
  readonly #options: CliOptions;
  readonly #host: Host;
  readonly #conversation: Conversation;
  #controller: AbortController | undefined;

  constructor(engine: Engine, model: string, options: CliOptions, host: Host) {
    this.#engine = engine;
    this.#model = model;
    this.#options = options;
    this.#host = host;
    this.#conversation = new Conversation(options.system);
  }

  /** Stops the answer that is being made, if there is one. */
  stop(): void {
    this.#controller?.abort();
  }

  /** A line that begins with a slash. */
  command(text: string): void {
    if (text === "/help") this.#host.err(HELP);
    else if (text === "/stats") {
      this.#host.err(`${memoryTable(this.#engine.memory())}\n`);
    } else if (text === "/clear") {
      this.#conversation.clear();
      this.#host.err("(the conversation is forgotten)\n");
    } else {
      this.#host.err(
        `Cannot do "${text}": /help, /clear, /stats and /exit work\n`,
      );
    }
  }

  /** Answers `text`. A turn that is too long is refused, and forgotten. */
  async turn(text: string): Promise<void> {
    const conversation = this.#conversation, { json, generate } = this.#options;
    const controller = this.#controller = new AbortController();
    conversation.ask(text);
    try {
      this.#makeRoom();
      const { messages } = conversation, { signal } = controller;
      const result = await answer(
        this.#engine,
        { ...generate, messages, signal },
        this.#host,
        json,
      );
      if (result.text !== "") conversation.answered(result.text);
      if (json) this.#host.out(answerJson(this.#model, result, this.#engine));
      else finishLine(result, this.#engine, this.#host);
    } catch (error) {
      // Its message says how long the context is, and what to do.
      if (!(error instanceof RangeError)) throw error;
      this.failed = true;
      this.#host.err(`${error.message}\n`);
    } finally {
      conversation.takeBack();
      this.#controller = undefined;
    }
  }

  #makeRoom(): void {
    const engine = this.#engine, { context } = engine;
    const room = Math.min(
      this.#options.generate.maxTokens ?? context,
      Math.ceil(context * ROOM),
    );
    const dropped = this.#conversation.fit(
      (messages) => engine.promptTokens(messages).length,
      context - room,
    );
    if (dropped === 0) return;
    this.#host.err(
      `(the conversation is longer than the context of ${context} tokens: ` +
        `left out its ${
          dropped === 1 ? "oldest turn" : `${dropped} oldest turns`
        }; ` +
        `--context gives more where the model allows it)\n`,
    );
  }
}
