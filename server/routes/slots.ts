/**
 * `/slots`: sessions of clients, saved and restored.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import { tenantOf } from "../answering.ts";
import { readBody, readQuery } from "../body.ts";
import type { Env } from "../context.ts";
import { engineError } from "../engine_error.ts";
import { badRequest } from "../errors.ts";
import { slotBody, slotListQuery, slotQuery } from "../schema/others.ts";

/** The caller's slots. */
export function listSlots(c: Context<Env>): Response {
  const { user } = readQuery(c, slotListQuery);
  const { slots } = c.get("serving");
  const tenant = tenantOf(c, user);
  return c.json(
    Array.from({ length: slots.most }, (_, id) => {
      const slot = slots.get(tenant, id);
      return {
        id,
        model: slot?.model ?? null,
        n_tokens: slot?.tokens.length ?? 0,
      };
    }),
  );
}

/** Saves, restores or erases a slot. */
export async function changeSlot(c: Context<Env>): Promise<Response> {
  const { action, user } = readQuery(c, slotQuery);
  const serving = c.get("serving"), { slots, models } = serving;
  serving.requireOpen();
  const id = idOf(c.req.param("id"), slots.most);
  if (action === "erase") {
    if (c.req.raw.body !== null) await readBody(c, slotBody);
    const n_erased = slots.erase(tenantOf(c, user), id);
    return c.json({ id_slot: id, n_erased });
  }
  const { filename, model, ...body } = await readBody(c, slotBody);
  const tenant = tenantOf(c, body.user ?? user);
  const own = action === "save" ? slots.get(tenant, id)?.model : undefined;
  using lease = await models.use(model ?? own);
  const { signal } = c.req.raw;
  try {
    const args = [tenant, id, filename, signal] as const;
    const done = action === "save"
      ? await slots.save(lease.engine, ...args)
      : await slots.restore(lease.engine, lease.id, ...args);
    const { tokens, cachedTokens, bytes, ms } = done;
    return c.json({
      id_slot: id,
      filename,
      n_cached: cachedTokens,
      ...action === "save"
        ? { n_saved: tokens, n_written: bytes, timings: { save_ms: ms } }
        : { n_restored: tokens, n_read: bytes, timings: { restore_ms: ms } },
    });
  } catch (error) {
    throw engineError(error);
  }
}

function idOf(text: string | undefined, most: number): number {
  const id = Number(text);
  if (/^\d{1,9}$/.test(text ?? "") && id < most) return id;
  throw badRequest(
    `There is no slot "${text?.slice(0, 40)}": they go from 0 to ${most - 1}`,
    "id",
  );
}
