/**
 * A conversation's state, and what may be done with it.
 *
 * @module
 */
import type { Engine } from "../mod.ts";
import { answer, answerJson, finishLine } from "./answer.ts";
import { Conversation } from "./conversation.ts";
import type { Host } from "./host.ts";
import type { CliOptions } from "./options.ts";
import type { ChatSession } from "./session.ts";
import { memoryTable } from "./statistics.ts";

const HELP = `/help   this
/clear  forget the conversation
/stats  who holds how many bytes
/exit   end; so do Ctrl-D and a second Ctrl-C
Ctrl-C  stop the answer
`;

/** Part of the context that is kept free for the next answer. */
const ROOM = 1 / 4;

/** Turns, one at a time, kept in a session where there is one. */
export class Talk {
  /** A turn could not be answered, or not be kept. */
  failed = false;
  /** The last answer was stopped. */
  stopped = false;
  readonly #engine: Engine;
  readonly #model: string;
  readonly #options: CliOptions;
  readonly #host: Host;
  readonly #conversation: Conversation;
  readonly #session: ChatSession | undefined;
  #controller: AbortController | undefined;

  constructor(
    engine: Engine,
    model: string,
    options: CliOptions,
    host: Host,
    session?: ChatSession,
  ) {
    this.#engine = engine;
    this.#model = model;
    this.#options = options;
    this.#host = host;
    this.#session = session;
    this.#conversation = new Conversation(options.system, session?.messages);
  }

  /** Stops the answer that is being made, if there is one. */
  stop(): void {
    this.#controller?.abort();
  }

  /** A line that begins with a slash. */
  async command(text: string): Promise<void> {
    if (text === "/help") this.#host.err(HELP);
    else if (text === "/stats") {
      this.#host.err(`${memoryTable(this.#engine.memory())}\n`);
    } else if (text === "/clear") {
      this.#conversation.clear();
      this.#host.err("(the conversation is forgotten)\n");
      await this.#save();
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
      this.stopped = result.finish === "aborted";
      if (result.text !== "") conversation.answered(result.text);
      if (json) this.#host.out(answerJson(this.#model, result, this.#engine));
      else finishLine(result, this.#engine, this.#host);
      if (result.text !== "") await this.#save();
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

  async #save(): Promise<void> {
    const kept = await this.#session?.save(this.#conversation) ?? true;
    this.failed ||= !kept;
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
