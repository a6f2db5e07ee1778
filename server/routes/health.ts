/**
 * `GET /health`.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { Env } from "../context.ts";

/** 200 while requests are taken, 503 once the server is ending. */
export function health(c: Context<Env>): Response {
  c.get("serving").requireOpen();
  return c.json({ status: "ok" });
}
