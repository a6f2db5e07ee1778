/**
 * Which functions an answer may call, and what that asks of the engine.
 *
 * @module
 */
import type { AnswerFormat } from "../../engine/options.ts";
import { badRequest } from "../errors.ts";
import type { ChatBody, Tool } from "../schema/chat.ts";
import { CallReader } from "./call_reader.ts";
import { dialectOf } from "./dialects.ts";
import { argumentsReader, plainReader, type Reader } from "./reader.ts";

/** What functions an answer may, or has to, call. */
export interface Choice {
  /** For the chat template; undefined for none. */
  readonly tools: readonly unknown[] | undefined;
  /** Where a call is forced: what the answer has to be. */
  readonly format: AnswerFormat | undefined;
  /** A reader for each answer. */
  readonly reader: () => Reader;
}

const NONE: Choice = {
  tools: undefined,
  format: undefined,
  reader: plainReader,
};

/**
 * What `tools` and `tool_choice` ask for. Throws an ApiError where the model's chat
 * template takes no functions, or the choice names none of them.
 */
export function choiceOf(
  { tools, tool_choice }: Pick<ChatBody, "tools" | "tool_choice">,
  template: string | undefined,
): Choice {
  const choice = tool_choice ?? "auto";
  if (!tools?.length) {
    if (choice === "auto" || choice === "none") return NONE;
    throw badRequest(
      'Cannot choose a tool: there are no "tools"',
      "tool_choice",
    );
  }
  const names = namesOf(tools);
  const dialect = dialectOf(template);
  if (dialect === undefined) {
    throw badRequest(
      "Cannot use tools with this model: its chat template does not write them in a way that is known here " +
        "(Hermes, Llama 3 or Mistral); leave them out, or serve a model tuned for it",
      "tools",
      "tools_not_supported",
    );
  }
  if (choice === "none") return { ...NONE, tools };
  if (choice === "auto") {
    const strict = tools.findIndex((t) => t.function.strict);
    if (strict >= 0) {
      throw badRequest(
        'Cannot hold a call that the model is free to make to "strict": leave it out, or force the call by "tool_choice"',
        `tools[${strict}].function.strict`,
        "unsupported_value",
      );
    }
    return { tools, format: undefined, reader: () => dialect.reader(names) };
  }
  if (choice === "required") return { tools, ...forced(tools, names) };
  const chosen = tools.find((t) => t.function.name === choice.function.name);
  if (chosen !== undefined) return { tools, ...forced([chosen], names) };
  throw badRequest(
    `Cannot choose tool "${choice.function.name}": it is not among the "tools"`,
    "tool_choice.function.name",
  );
}

function namesOf(tools: readonly Tool[]): ReadonlySet<string> {
  const names = new Set<string>();
  for (const [i, { function: { name } }] of tools.entries()) {
    if (names.has(name)) {
      throw badRequest(
        `Cannot take two tools named "${name}"`,
        `tools[${i}].function.name`,
      );
    }
    names.add(name);
  }
  return names;
}

/** An answer that is one call, by its schema. */
function forced(
  tools: readonly Tool[],
  names: ReadonlySet<string>,
): Pick<Choice, "format" | "reader"> {
  const [first] = tools;
  if (tools.length === 1) {
    const { name } = first!.function;
    return {
      format: { type: "schema", schema: parametersOf(first!) },
      reader: () => argumentsReader(name),
    };
  }
  const anyOf = tools.map((tool, i) => ({
    type: "object",
    properties: {
      name: { const: tool.function.name },
      arguments: moved(
        parametersOf(tool),
        `#/anyOf/${i}/properties/arguments`,
      ),
    },
    required: ["name", "arguments"],
    additionalProperties: false,
  }));
  return {
    format: { type: "schema", schema: { anyOf } },
    reader: () => new CallReader({}, names),
  };
}

function parametersOf({ function: { parameters } }: Tool): unknown {
  return parameters ?? {
    type: "object",
    properties: {},
    additionalProperties: false,
  };
}

/** A schema that stands at another place: references to its own parts follow. */
function moved(schema: unknown, to: string): unknown {
  if (Array.isArray(schema)) return schema.map((s) => moved(s, to));
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(
    Object.entries(schema).map(([key, value]) =>
      key === "$ref" && typeof value === "string" && value.startsWith("#")
        ? [key, to + value.slice(1)]
        : [key, moved(value, to)]
    ),
  );
}
