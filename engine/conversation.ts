/**
 * A conversation with a model, and its branches.
 *
 * @module
 */
import type { ChatMessage } from "../models/chat_template.ts";
import type { Engine } from "./engine.ts";
import type { GenerateOptions, GeneratePart } from "./options.ts";

/** What a turn may ask for beside its text. */
export type TurnOptions = Omit<
  GenerateOptions,
  "prompt" | "tokens" | "messages" | "n" | "bestOf"
>;

/**
 * Turns of a user and a model. Every turn goes on from the tokens of the one
 * before, exactly as they were made, so that the prefix cache finds them; a branch
 * has them in common with where it came from, and its blocks are stored once.
 *
 * ```ts ignore
 * const talk = engine.conversation("You are terse.");
 * for await (const part of talk.ask("Name a river.")) console.log(part.text);
 * const other = talk.branch();
 * for await (const part of talk.ask("And its source?")) console.log(part.text);
 * for await (const part of other.ask("And its mouth?")) console.log(part.text);
 * ```
 */
export class Conversation {
  readonly #engine: Engine;
  #messages: readonly ChatMessage[];
  /** Everything up to the last answer's end, as text and as it was computed. */
  #past: { readonly text: string; readonly tokens: readonly number[] };
  #busy = false;

  /** @ignore */
  constructor(engine: Engine, messages: readonly ChatMessage[]) {
    this.#engine = engine;
    this.#messages = messages;
    this.#past = { text: "", tokens: [] };
  }

  /** All turns so far. */
  get messages(): readonly ChatMessage[] {
    return this.#messages;
  }

  /**
   * Asks, and answers as `generate()` does. A turn that fails or is left early
   * leaves the conversation as it was.
   *
   * @throws {TypeError} while another turn is being answered.
   */
  async *ask(
    content: string,
    options: TurnOptions = {},
  ): AsyncGenerator<GeneratePart> {
    if (this.#busy) {
      throw new TypeError(
        "Cannot ask: the conversation is in the middle of an answer; branch() first, or wait",
      );
    }
    this.#busy = true;
    try {
      const engine = this.#engine;
      const asked = [...this.#messages, { role: "user", content }];
      const text = engine.chatPrompt(asked);
      const tokens = this.#tokens(text, asked);
      const made: number[] = [];
      let answer = "";
      for await (const part of engine.generate({ ...options, tokens })) {
        made.push(...part.tokens);
        answer += part.text;
        if (part.finish !== undefined) {
          this.#messages = [...asked, { role: "assistant", content: answer }];
          // A stop text is among the tokens and not in the answer.
          this.#past = engine.tokenizer.decode(made) === answer
            ? { text: text + answer, tokens: [...tokens, ...made] }
            : { text: "", tokens: [] };
        }
        yield part;
      }
    } finally {
      this.#busy = false;
    }
  }

  /** A conversation that goes its own way from here. */
  branch(): Conversation {
    const made = new Conversation(this.#engine, this.#messages);
    made.#past = this.#past;
    return made;
  }

  /** The prompt's tokens, the past ones as they are. */
  #tokens(text: string, messages: readonly ChatMessage[]): readonly number[] {
    const past = this.#past;
    if (past.text === "" || !text.startsWith(past.text)) {
      return this.#engine.promptTokens(messages);
    }
    const more = this.#engine.tokenizer.encode(text.slice(past.text.length), {
      special: true,
    });
    return [...past.tokens, ...more];
  }
}
