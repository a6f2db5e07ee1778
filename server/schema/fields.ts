/**
 * Fields that several requests have.
 *
 * @module
 */
import { z } from "npm:zod@4.6.7";

/** A field that may be left out, or null, which is the same. */
function optional<T extends z.ZodType>(
  schema: T,
): z.ZodOptional<z.ZodNullable<T>> {
  return schema.nullish();
}

/** A field of other servers that means nothing here but with these values. */
function neutral<const T extends readonly (string | boolean | number)[]>(
  ...values: T
): z.ZodType<T[number] | null | undefined> {
  return z.literal(values).nullish().describe(
    "Taken with the values that change nothing",
  );
}

/** A text that stands for a value of its own. */
const name = z.string().min(1).max(256);

/** A list that has to be empty. */
const nothing = z.array(z.never()).max(0).nullish();

/** An object that has to be empty. */
const empty = z.strictObject({}).nullish();

/** How tokens are chosen. */
export const sampling = {
  temperature: optional(z.number().min(0).max(2)).describe(
    "0 takes the likeliest token",
  ),
  top_p: optional(z.number().min(0).max(1)),
  top_k: optional(z.int().min(0).max(1_000_000)).describe("0: all"),
  min_p: optional(z.number().min(0).max(1)),
  presence_penalty: optional(z.number().min(-2).max(2)),
  frequency_penalty: optional(z.number().min(-2).max(2)),
  repetition_penalty: optional(z.number().min(0.01).max(10)),
  logit_bias: optional(
    z.record(z.string().regex(/^\d{1,9}$/), z.number().min(-100).max(100)),
  ).describe("Added to logits by token id; -100 forbids a token"),
  seed: optional(z.int().min(-1)).describe("-1: a random one"),
  stop: optional(
    z.union([
      z.string().min(1).max(1000),
      z.array(z.string().min(1).max(1000)).max(16),
    ]),
  ).describe("Texts that end the answer and are not part of it"),
  ignore_eos: optional(z.boolean()),
} as const;

/** What a request is beside its prompt. */
export const common = {
  model: optional(name).describe("Default: the first model"),
  stream: optional(z.boolean()),
  stream_options: optional(z.strictObject({
    include_usage: optional(z.boolean()),
    include_obfuscation: neutral(false),
  })),
  n: optional(z.int().min(1).max(64)),
  user: optional(z.string().max(256)).describe(
    "Tenant: tenants share no blocks and are served in turn",
  ),
  priority: optional(z.number().min(-1000).max(1000)),
  cache_priority: optional(z.int().min(0).max(99)),
  deadline_ms: optional(z.int().min(1).max(86_400_000)).describe(
    "Ends the answer with what there is of it",
  ),
  id_slot: optional(z.int().min(0).max(1_000_000)).describe(
    "Slot that remembers the tokens, to be saved",
  ),
  timings_per_token: optional(z.boolean()),
  cache_prompt: neutral(true),
  store: neutral(false),
  metadata: empty,
  service_tier: neutral("auto", "default"),
} as const;

/** Most tokens to make. */
export const length = optional(
  z.union([z.int().min(1).max(10_000_000), z.literal(-1)]),
).describe("-1: what the context leaves");

export { empty, name, neutral, nothing, optional };
