/**
 * The history of a conversation, and what of it fits the context.
 *
 * @module
 */
import type { ChatMessage } from "../mod.ts";

/** Messages in turn: the system's, then pairs of a question and its answer. */
export class Conversation {
  readonly #system: readonly ChatMessage[];
  #turns: ChatMessage[] = [];

  /**
   * @param system What the model is told first; it is never left out. Default: what
   * the messages begin with.
   * @param messages What was said before.
   */
  constructor(system?: string, messages: readonly ChatMessage[] = []) {
    const told = messages.filter(({ role }) => role === "system");
    this.#system = system === undefined
      ? told
      : [{ role: "system", content: system }];
    this.#turns = messages.filter(({ role }) => role !== "system");
  }

  /** What the chat template is given. */
  get messages(): readonly ChatMessage[] {
    return [...this.#system, ...this.#turns];
  }

  /** How many questions were asked. */
  get turns(): number {
    return this.#turns.filter(({ role }) => role === "user").length;
  }

  /** Adds a question. */
  ask(content: string): void {
    this.#turns.push({ role: "user", content });
  }

  /** Adds the answer to the question asked last. */
  answered(content: string): void {
    this.#turns.push({ role: "assistant", content });
  }

  /** Takes the question back that has no answer. */
  takeBack(): void {
    if (this.#turns.at(-1)?.role === "user") this.#turns.pop();
  }

  /** Forgets all turns. */
  clear(): void {
    this.#turns = [];
  }

  /**
   * Leaves the oldest turns out until `count` of the messages is at most `most`
   * or one question is left. Returns how many turns went.
   */
  fit(
    count: (messages: readonly ChatMessage[]) => number,
    most: number,
  ): number {
    let dropped = 0;
    while (this.#turns.length > 2 && count(this.messages) > most) {
      this.#turns.splice(0, 2);
      dropped++;
    }
    return dropped;
  }
}
