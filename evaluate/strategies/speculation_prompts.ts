/**
 * Prompts for speculative decoding: texts whose continuation repeats something,
 * and ordinary ones.
 *
 * @module
 */
import type { Engine } from "../../engine/engine.ts";
import type { NextSlice } from "./texts.ts";

/** A prompt and what it is. */
export interface SpokenPrompt {
  readonly name: string;
  /** Whether what follows is expected to repeat what was there. */
  readonly repeats: boolean;
  readonly tokens: readonly number[];
}

const LIST = [
  "Amsterdam, Netherlands",
  "Buenos Aires, Argentina",
  "Cape Town, South Africa",
  "Dhaka, Bangladesh",
  "Edinburgh, Scotland",
  "Fukuoka, Japan",
  "Guadalajara, Mexico",
  "Helsinki, Finland",
  "Istanbul, Turkey",
  "Jakarta, Indonesia",
  "Kathmandu, Nepal",
  "Lagos, Nigeria",
].map((place, i) => `${i + 1}. ${place}`).join("\n");

const CODE = ["name", "address", "phone", "email", "country", "birthday"]
  .map((field) =>
    `  get ${field}() {\n    return this.fields.get("${field}");\n  }\n\n  set ${field}(value) {\n    this.fields.set("${field}", value);\n    this.changed.add("${field}");\n  }\n`
  ).join("\n");

/**
 * The prompts; `length` is that of texts cut from `next`. A model without a chat
 * template is given questions as plain text.
 */
export function speculationPrompts(
  engine: Pick<Engine, "tokenizer" | "promptTokens">,
  next: NextSlice,
  length: number,
): SpokenPrompt[] {
  const { tokenizer } = engine;
  const ask = (content: string): readonly number[] =>
    tokenizer.chatTemplate === undefined
      ? tokenizer.encode(`${content}\n\n`)
      : engine.promptTokens([{ role: "user", content }]);
  const quoted = next(length);
  return [
    {
      name: "repeat a list",
      repeats: true,
      tokens: ask(`Repeat the following list exactly as it is:\n\n${LIST}`),
    },
    {
      name: "code with lines alike",
      repeats: true,
      tokens: tokenizer.encode(`class Person {\n${CODE}\n  get city() {\n`),
    },
    {
      // The text, and its first half once more.
      name: "a text quoted again",
      repeats: true,
      tokens: [...quoted, ...quoted.slice(0, length >> 1)],
    },
    { name: "ordinary text", repeats: false, tokens: next(length) },
    {
      name: "a question",
      repeats: false,
      tokens: ask("Why is the sky blue, and why is it red in the evening?"),
    },
  ];
}
