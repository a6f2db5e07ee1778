/**
 * The server as a Hono app.
 *
 * ```ts ignore
 * const engine = await load("smollm2");
 * Deno.serve(createApp(engine).fetch);
 * ```
 *
 * @module
 */
import { Hono, type MiddlewareHandler } from "npm:hono@4.13.19";
import { bodyLimit } from "npm:hono@4.13.19/body-limit";
import { cors } from "npm:hono@4.13.19/cors";
import { HTTPException } from "npm:hono@4.13.19/http-exception";
import { requestId } from "npm:hono@4.13.19/request-id";
import { secureHeaders } from "npm:hono@4.13.19/secure-headers";
import type { Engine } from "../engine/engine.ts";
import { auth } from "./auth.ts";
import type { Env } from "./context.ts";
import { ENDPOINTS } from "./endpoints.ts";
import { ApiError, apiErrorOf, notFound } from "./errors.ts";
import { Models } from "./models.ts";
import { Serving } from "./serving.ts";
import type { ServerOptions } from "./settings.ts";
import { timedBodies } from "./timed_body.ts";

/**
 * An app that answers as OpenAI's API does, by one engine, several models, or a
 * `Serving` made before. It can be mounted in another app by `route()`. The engine
 * stays the caller's: close it when the app is used no more.
 *
 * @throws {RangeError} for settings out of bounds.
 */
export function createApp(
  what: Engine | Models | Serving,
  options: ServerOptions = {},
): Hono<Env> {
  const serving = what instanceof Serving ? what : new Serving(what, options);
  const { settings } = serving;
  const app = new Hono<Env>();
  app.use(async (c, next) => {
    c.set("serving", serving);
    await next();
  });
  app.use(requestId({ limitLength: 128 }), watched(), secureHeaders());
  if (!settings.hosts.includes("*")) app.use(hosts(settings.hosts));
  if (settings.cors.length > 0) {
    app.use(cors({
      origin: settings.cors.includes("*") ? "*" : [...settings.cors],
      allowMethods: ["GET", "POST"],
      exposeHeaders: ["x-request-id", "retry-after"],
      maxAge: 600,
    }));
  }
  app.use(auth(), timedBodies(settings.bodyMs));
  app.use(bodyLimit({
    maxSize: settings.bodyBytes,
    onError: () => {
      throw new ApiError(
        413,
        `Cannot take a body of more than ${settings.bodyBytes} bytes`,
        { code: "body_too_large" },
      );
    },
  }));
  for (const { method, path, also = [], handle } of ENDPOINTS) {
    for (const one of [path, ...also]) app[method](one, handle);
  }
  for (const [path, methods] of methodsOf()) {
    app.all(path, (c) => {
      throw new ApiError(405, `"${path}" does not take ${c.req.method}`, {
        code: "method_not_allowed",
        headers: { allow: methods.join(", ") },
      });
    });
  }
  app.notFound((c) => {
    throw notFound(`There is nothing at "${c.req.path.slice(0, 200)}"`);
  });
  app.onError((error, c) => {
    if (error instanceof HTTPException) return error.getResponse();
    const told = apiErrorOf(error);
    if (told.status === 500) {
      serving.log("error", {
        id: c.get("requestId"),
        error: String(error.stack),
      });
    }
    const { status, body, headers } = told;
    return c.json({ error: body }, status, headers);
  });
  return app;
}

/** Which methods each path takes. */
function methodsOf(): Map<string, string[]> {
  const all = new Map<string, string[]>();
  for (const { method, path, also = [] } of ENDPOINTS) {
    for (const one of [path, ...also]) {
      const methods = all.get(one) ?? [];
      all.set(one, [...methods, method.toUpperCase()]);
    }
  }
  return all;
}

/** Counts responses and tells the log of them. */
function watched(): MiddlewareHandler<Env> {
  return async (c, next) => {
    const began = performance.now();
    await next();
    const { metrics, log } = c.get("serving");
    const { status } = c.res;
    const { method, routePath: route } = c.req;
    metrics.count("quire:http_requests_total", { route, status: `${status}` });
    log("http", {
      id: c.get("requestId"),
      method,
      path: c.req.path,
      status,
      owner: c.get("owner"),
      ms: Math.round(performance.now() - began),
    });
  };
}

/**
 * Refuses requests that are addressed to other names: a web page whose name was made
 * to lead here could otherwise ask as if it were at home.
 */
function hosts(names: readonly string[]): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { hostname } = new URL(c.req.url);
    if (!names.includes(hostname)) {
      throw new ApiError(
        403,
        `This server is not "${hostname.slice(0, 100)}"`,
        {
          code: "unknown_host",
        },
      );
    }
    await next();
  };
}
