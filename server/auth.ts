/**
 * Who may ask.
 *
 * @module
 */
import type { MiddlewareHandler } from "npm:hono@4.13.19";
import { bearerAuth } from "npm:hono@4.13.19/bearer-auth";
import type { Env } from "./context.ts";
import { ApiError } from "./errors.ts";

/** Paths that need no key, as far as none is given. */
const PUBLIC = /(^|\/)(health|v1\/models|models|openapi\.json|docs|dashboard)$/;

/**
 * Wants one of the server's keys, as a bearer token or in `x-api-key`; a wrong one is
 * refused everywhere.
 */
export function auth(): MiddlewareHandler<Env> {
  const message = (text: string): { error: unknown } => ({
    error: new ApiError(401, text, { code: "invalid_api_key" }).body,
  });
  const missing = message("A key is wanted: send it as a bearer token");
  const wrong = message("The key is not known here");
  const bearer = bearerAuth<Env>({
    verifyToken: async (token, c) => {
      const owner = await c.get("serving").keys.ownerOf(token);
      if (owner !== undefined) c.set("owner", owner);
      return owner !== undefined;
    },
    noAuthenticationHeader: { message: missing },
    invalidAuthenticationHeader: { message: wrong },
    invalidToken: { message: wrong },
  });
  return async (c, next) => {
    c.set("owner", "");
    const { keys } = c.get("serving");
    if (!keys.wanted) return await next();
    const header = c.req.header("authorization");
    const key = c.req.header("x-api-key");
    if (header === undefined && key !== undefined) {
      const owner = await keys.ownerOf(key);
      if (owner === undefined) {
        throw new ApiError(401, "The key is not known here", {
          code: "invalid_api_key",
        });
      }
      c.set("owner", owner);
      return await next();
    }
    const open = c.req.method === "GET" && PUBLIC.test(c.req.path);
    if (header === undefined && open) return await next();
    return await bearer(c, next);
  };
}
