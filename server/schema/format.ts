/**
 * What an answer has to be.
 *
 * @module
 */
import { z } from "npm:zod@4.6.7";
import { optional } from "./fields.ts";

/** A JSON schema; what can be made of it is the engine's to say. */
export const jsonSchema = z.union([
  z.record(z.string(), z.unknown()),
  z.boolean(),
]);

/** `response_format`. */
export const responseFormat = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("text") }),
  z.strictObject({
    type: z.literal("json_object"),
    schema: optional(jsonSchema),
  }),
  z.strictObject({
    type: z.literal("json_schema"),
    json_schema: z.strictObject({
      name: optional(z.string().max(64)),
      description: optional(z.string()),
      schema: optional(jsonSchema),
      strict: optional(z.boolean()),
    }),
  }),
]);

/** A checked `response_format`. */
export type ResponseFormat = z.output<typeof responseFormat>;
