/**
 * `POST /v1/chat/completions`.
 *
 * @module
 */
import { z } from "npm:zod@4.6.7";
import {
  common,
  length,
  name,
  neutral,
  nothing,
  optional,
  sampling,
} from "./fields.ts";
import { jsonSchema, responseFormat } from "./format.ts";

const textPart = z.strictObject({ type: z.literal("text"), text: z.string() });

/** Text, whole or in parts. */
export const content = z.union([z.string(), z.array(textPart).min(1)]);

const call = z.strictObject({
  id: optional(z.string()),
  type: neutral("function"),
  index: optional(z.int()),
  function: z.strictObject({ name, arguments: z.string() }),
});

const message = z.discriminatedUnion("role", [
  z.strictObject({
    role: z.enum(["system", "developer"]),
    content,
    name: optional(name),
  }),
  z.strictObject({ role: z.literal("user"), content, name: optional(name) }),
  z.strictObject({
    role: z.literal("assistant"),
    content: optional(content),
    name: optional(name),
    tool_calls: optional(z.array(call)),
    refusal: z.null().optional(),
    audio: z.null().optional(),
    function_call: z.null().optional(),
    annotations: nothing,
  }),
  z.strictObject({
    role: z.literal("tool"),
    content,
    tool_call_id: z.string(),
    name: optional(name),
  }),
]);

const tool = z.strictObject({
  type: z.literal("function"),
  function: z.strictObject({
    name: z.string().regex(/^[\w.-]{1,64}$/),
    description: optional(z.string()),
    parameters: optional(jsonSchema),
    strict: optional(z.boolean()),
  }),
});

/** `tool_choice`. */
export const toolChoice = z.union([
  z.enum(["none", "auto", "required"]),
  z.strictObject({
    type: z.literal("function"),
    function: z.strictObject({ name }),
  }),
]);

/** The body. */
export const chatBody = z.strictObject({
  messages: z.array(message).min(1).max(10_000),
  ...common,
  ...sampling,
  max_tokens: length,
  max_completion_tokens: length,
  logprobs: optional(z.boolean()),
  top_logprobs: optional(z.int().min(0).max(20)),
  response_format: optional(responseFormat),
  json_schema: optional(jsonSchema).describe("As response_format"),
  tools: optional(z.array(tool).max(128)),
  tool_choice: optional(toolChoice),
  parallel_tool_calls: neutral(true),
  modalities: optional(z.tuple([z.literal("text")])),
  audio: z.null().optional(),
  prediction: z.null().optional(),
});

/** A checked body. */
export type ChatBody = z.output<typeof chatBody>;
/** A checked message. */
export type ChatTurn = ChatBody["messages"][number];
/** A checked tool. */
export type Tool = NonNullable<ChatBody["tools"]>[number];
