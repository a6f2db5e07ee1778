/**
 * A conversation with a model, and its branches.
 *
 * @module
 */
import type { ChatMessage } from "../models/chat_template.ts";
import type { AdapterMark, AdapterOptions } from "./adapters.ts";
import type { Engine } from "./engine.ts";
import type {
  GenerateOptions,
  GeneratePart,
  SamplingOptions,
} from "./options.ts";
import { randomSeed } from "./random.ts";
import { samplingOf } from "./sampling_settings.ts";

/** What a turn may ask for beside its text. */
export type TurnOptions = Omit<
  GenerateOptions,
  "prompt" | "tokens" | "messages" | "n" | "bestOf" | "drawn"
>;

/** What going on with an answer may ask for: how tokens are chosen stays as it was. */
export type MoreOptions = Omit<
  TurnOptions,
  keyof SamplingOptions | keyof AdapterOptions | "beams"
>;

/** All there is to know of a conversation; what saves one reads it. */
export interface ConversationState {
  /** All turns. */
  readonly messages: readonly ChatMessage[];
  /**
   * Everything up to the last answer's end, as text and as it was computed; nothing
   * where the two do not agree.
   */
  readonly text: string;
  readonly tokens: readonly number[];
  /**
   * How the last answer was sampled, where its length ended it; its tokens are the
   * last `drawn`.
   */
  readonly cut: SamplingOptions | undefined;
  /** Whose the last turn was. */
  readonly tenant: string | undefined;
  /** What it was computed with. */
  readonly adapters: readonly AdapterMark[];
}

/** A conversation without turns yet. */
export function newState(
  messages: readonly ChatMessage[],
  adapters: readonly AdapterMark[] = [],
): ConversationState {
  return {
    messages,
    text: "",
    tokens: [],
    cut: undefined,
    tenant: undefined,
    adapters,
  };
}

/** An answer that is being made: what stands before it, and what there is of it. */
interface Begun {
  readonly asked: readonly ChatMessage[];
  readonly text: string;
  readonly tokens: readonly number[];
  readonly made: readonly number[];
  readonly answer: string;
  readonly sampling: SamplingOptions;
}

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
  #state: ConversationState;
  #busy = false;

  /** @ignore */
  constructor(engine: Engine, state: ConversationState) {
    this.#engine = engine;
    this.#state = state;
  }

  /** All turns so far. */
  get messages(): readonly ChatMessage[] {
    return this.#state.messages;
  }

  /** @ignore As of the last whole turn. */
  get state(): ConversationState {
    return this.#state;
  }

  /** Whether the last answer was ended by its length or deadline: `more()` goes on. */
  get unfinished(): boolean {
    return this.#state.cut !== undefined;
  }

  /**
   * Asks, and answers as `generate()` does. Adapters that it names are those of the
   * turns that follow, too. A turn that fails or is left early
   * leaves the conversation as it was.
   *
   * @throws {TypeError} while another turn is being answered.
   */
  async *ask(
    content: string,
    options: TurnOptions = {},
  ): AsyncGenerator<GeneratePart> {
    yield* this.#turn(options, () => {
      const asked = [...this.messages, { role: "user", content }];
      const text = this.#engine.chatPrompt(asked);
      const sampling = samplingOf(options);
      const drawn = sampling.temperature && sampling.seed === undefined
        ? { seed: randomSeed() }
        : {};
      return {
        asked,
        text,
        tokens: this.#tokens(text, asked),
        made: [],
        answer: "",
        sampling: { ...sampling, ...drawn },
      };
    });
  }

  /**
   * Goes on with the last answer where its length ended it, with the tokens it would
   * have had in one go: `unfinished` says whether there is such an answer. Of `stop`,
   * only texts that begin in what is added are seen.
   *
   * @throws {TypeError} where the answer came to its end, and as `ask()` does.
   */
  async *more(options: MoreOptions = {}): AsyncGenerator<GeneratePart> {
    yield* this.#turn(options, () => {
      const { messages, text, tokens, cut } = this.#state;
      const answer = messages.at(-1)?.content;
      if (cut === undefined || answer === undefined) {
        throw new TypeError(
          "Cannot go on: there is no answer that its length ended; ask() something",
        );
      }
      const before = tokens.length - cut.drawn!;
      return {
        asked: messages.slice(0, -1),
        text: text.slice(0, text.length - answer.length),
        tokens: tokens.slice(0, before),
        made: tokens.slice(before),
        answer,
        sampling: cut,
      };
    });
  }

  /** A conversation that goes its own way from here. */
  branch(): Conversation {
    return new Conversation(this.#engine, this.#state);
  }

  async *#turn(
    options: TurnOptions,
    begin: () => Begun,
  ): AsyncGenerator<GeneratePart> {
    if (this.#busy) {
      throw new TypeError(
        "Cannot ask: the conversation is in the middle of an answer; branch() first, or wait",
      );
    }
    this.#busy = true;
    try {
      const begun = begin(), fresh: number[] = [];
      const { adapter, adapters: named } = options;
      const adapters = adapter === undefined && named === undefined
        ? this.#state.adapters
        : this.#engine.adapterMarks({ adapter, adapters: named });
      let answer = "";
      for await (
        const part of this.#engine.generate({
          ...options,
          ...begun.sampling,
          adapter: undefined,
          adapters,
          tokens: [...begun.tokens, ...begun.made],
        })
      ) {
        fresh.push(...part.tokens);
        answer += part.text;
        if (part.finish !== undefined) {
          this.#state = {
            ...this.#after(begun, fresh, answer, part, options),
            adapters,
          };
        }
        yield part;
      }
    } finally {
      this.#busy = false;
    }
  }

  /** The state with an answer to which `fresh` were added. */
  #after(
    begun: Begun,
    fresh: readonly number[],
    added: string,
    { finish }: GeneratePart,
    { tenant, beams }: TurnOptions,
  ): Omit<ConversationState, "adapters"> {
    const { asked, text, tokens, sampling } = begun;
    const { tokenizer } = this.#engine;
    const made = [...begun.made, ...fresh];
    // A stop text is among the tokens and not in the answer.
    const whole = tokenizer.decode(fresh) === added;
    const answer = whole ? tokenizer.decode(made) : begun.answer + added;
    const messages = [...asked, { role: "assistant", content: answer }];
    if (!whole) return { ...newState(messages), tenant };
    const goesOn = finish !== "stop" && made.length > 0 && beams === undefined;
    return {
      messages,
      text: text + answer,
      tokens: [...tokens, ...made],
      cut: goesOn ? { ...sampling, drawn: made.length } : undefined,
      tenant,
    };
  }

  /** The prompt's tokens, the past ones as they are. */
  #tokens(text: string, messages: readonly ChatMessage[]): readonly number[] {
    const past = this.#state;
    if (past.text === "" || !text.startsWith(past.text)) {
      return this.#engine.promptTokens(messages);
    }
    const more = this.#engine.tokenizer.encode(text.slice(past.text.length), {
      special: true,
    });
    return [...past.tokens, ...more];
  }
}
