/**
 * Messages as chat templates read them.
 *
 * @module
 */
import type { ChatMessage } from "../engine/options.ts";
import { badRequest } from "./errors.ts";
import type { ChatTurn } from "./schema/chat.ts";

/**
 * Turns in a template's words: contents are text, arguments of calls are objects.
 * Throws an ApiError for two answers in a row, or a call without JSON.
 */
export function chatMessages(turns: readonly ChatTurn[]): ChatMessage[] {
  return turns.map((turn, i) => {
    if (turn.role === "assistant" && turns[i - 1]?.role === "assistant") {
      throw badRequest(
        "Cannot answer two messages of the assistant in a row",
        `messages[${i}].role`,
      );
    }
    const { role } = turn;
    const message = {
      role: role === "developer" ? "system" : role,
      content: textOf(turn.content),
      ...turn.name ? { name: turn.name } : {},
    };
    if (turn.role === "tool") {
      return { ...message, tool_call_id: turn.tool_call_id };
    }
    if (turn.role !== "assistant" || !turn.tool_calls?.length) return message;
    const tool_calls = turn.tool_calls.map((call, n) => ({
      ...call.id ? { id: call.id } : {},
      type: "function",
      function: {
        name: call.function.name,
        arguments: argumentsOf(
          call.function.arguments,
          `messages[${i}].tool_calls[${n}].function.arguments`,
        ),
      },
    }));
    return { ...message, tool_calls };
  });
}

function textOf(content: ChatTurn["content"]): string {
  if (content === null || content === undefined) return "";
  if (typeof content === "string") return content;
  return content.map(({ text }) => text).join("\n");
}

function argumentsOf(text: string, param: string): unknown {
  try {
    return JSON.parse(text === "" ? "{}" : text);
  } catch {
    throw badRequest("Cannot read the arguments of a call: no JSON", param);
  }
}
