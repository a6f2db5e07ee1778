/**
 * `POST /v1/responses`, as far as it is about text.
 *
 * @module
 */
import { z } from "npm:zod@4.6.7";
import { common, empty, neutral, nothing, optional } from "./fields.ts";
import { jsonSchema } from "./format.ts";

const part = z.strictObject({
  type: z.enum(["input_text", "output_text", "text"]),
  text: z.string(),
  annotations: nothing,
  logprobs: nothing,
});

const item = z.strictObject({
  type: neutral("message"),
  id: optional(z.string()),
  status: neutral("completed", "incomplete"),
  role: z.enum(["user", "assistant", "system", "developer"]),
  content: z.union([z.string(), z.array(part).min(1)]),
});

const format = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({ type: z.literal("json_object") }),
  z.strictObject({
    type: z.literal("json_schema"),
    name: optional(z.string().max(64)),
    description: optional(z.string()),
    schema: jsonSchema,
    strict: optional(z.boolean()),
  }),
]);

/** The body. Responses are not kept, so none can be gone on from by its id. */
export const responseBody = z.strictObject({
  input: z.union([z.string(), z.array(item).min(1).max(10_000)]),
  model: common.model,
  instructions: optional(z.string()),
  max_output_tokens: optional(z.int().min(1).max(10_000_000)),
  temperature: optional(z.number().min(0).max(2)),
  top_p: optional(z.number().min(0).max(1)),
  stream: common.stream,
  stream_options: optional(
    z.strictObject({ include_obfuscation: neutral(false) }),
  ),
  text: optional(z.strictObject({
    format: optional(format),
    verbosity: neutral("medium"),
  })),
  user: common.user,
  store: neutral(false),
  metadata: empty,
  tools: nothing,
  tool_choice: neutral("auto", "none"),
  parallel_tool_calls: neutral(true),
  include: nothing,
  truncation: neutral("disabled"),
  background: neutral(false),
  service_tier: neutral("auto", "default"),
  top_logprobs: neutral(0),
  deadline_ms: common.deadline_ms,
});

/** A checked body. */
export type ResponseBody = z.output<typeof responseBody>;
