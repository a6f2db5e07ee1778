/**
 * Bodies of the small requests.
 *
 * @module
 */
import { z } from "npm:zod@4.6.7";
import { ids, prompts } from "./completion.ts";
import { name, optional } from "./fields.ts";

/** `POST /v1/embeddings`. */
export const embeddingBody = z.strictObject({
  input: prompts,
  model: optional(name),
  encoding_format: optional(z.enum(["float", "base64"])),
  dimensions: optional(z.int().min(1)).describe(
    "Has to be the model's own number",
  ),
  user: optional(z.string().max(256)),
});

/** `POST /tokenize`. */
export const tokenizeBody = z.strictObject({
  content: z.string(),
  model: optional(name),
  add_special: optional(z.boolean()).describe(
    "BOS in front, where it is usual",
  ),
  parse_special: optional(z.boolean()).describe(
    "Control tokens that are spelled out become those tokens; default true",
  ),
  with_pieces: optional(z.boolean()),
});

/** `POST /detokenize`. */
export const detokenizeBody = z.strictObject({
  tokens: ids.max(1_000_000),
  model: optional(name),
});

/** `POST /models/load`, `/models/unload`, `/models/sleep`. */
export const modelBody = z.strictObject({ model: name });

const user = z.string().max(256);

/** `GET /slots`. */
export const slotListQuery = z.strictObject({ user: user.optional() });

/** `POST /slots/{id}`. */
export const slotQuery = z.strictObject({
  action: z.enum(["save", "restore", "erase"]),
  user: user.optional(),
});

/** Body of `save` and `restore`. */
export const slotBody = z.strictObject({
  filename: z.string().min(1).max(256),
  model: optional(name),
  user: optional(z.string().max(256)),
});
