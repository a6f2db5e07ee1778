/**
 * `POST /tokenize`, `POST /detokenize`.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import { readBody } from "../body.ts";
import type { Env } from "../context.ts";
import { badRequest } from "../errors.ts";
import { detokenizeBody, tokenizeBody } from "../schema/others.ts";

/** Tokens of a text. */
export async function tokenize(c: Context<Env>): Promise<Response> {
  const body = await readBody(c, tokenizeBody);
  using lease = await c.get("serving").models.use(body.model ?? undefined);
  const { tokenizer } = lease.engine;
  const ids = tokenizer.encode(body.content, {
    bos: (body.add_special ?? false) && tokenizer.addBos,
    special: body.parse_special ?? true,
  });
  if (!body.with_pieces) return c.json({ tokens: ids });
  const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  const tokens = ids.map((id) => {
    const bytes = tokenizer.bytes(id);
    try {
      return { id, piece: utf8.decode(bytes) };
    } catch {
      // Half a character.
      return { id, piece: [...bytes] };
    }
  });
  return c.json({ tokens });
}

/** Text of tokens. */
export async function detokenize(c: Context<Env>): Promise<Response> {
  const { tokens, model } = await readBody(c, detokenizeBody);
  using lease = await c.get("serving").models.use(model ?? undefined);
  const { tokenizer } = lease.engine;
  const strange = tokens.findIndex((id) => id >= tokenizer.vocab);
  if (strange >= 0) {
    throw badRequest(
      `Cannot spell token ${tokens[strange]}: ids go from 0 to ${
        tokenizer.vocab - 1
      }`,
      `tokens[${strange}]`,
    );
  }
  return c.json({ content: tokenizer.decode(tokens) });
}
