/**
 * Bodies that have to come in time.
 *
 * @module
 */
import type { MiddlewareHandler } from "npm:hono@4.13.19";
import type { Env } from "./context.ts";
import { ApiError, apiErrorOf } from "./errors.ts";

type Bytes = ReadableStream<Uint8Array<ArrayBuffer>>;

/** A body, and its timer. */
export interface Timed extends Disposable {
  /** The same bytes; fails with an ApiError where they take longer, or break off. */
  readonly body: Bytes;
}

/** Bounds the time of a body, until it is disposed of. */
export function timed(body: Bytes, ms: number): Timed {
  const reader = body.getReader();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      const why = `Cannot read the body: it took more than ${ms} ms`;
      reject(new ApiError(408, why, { code: "body_timeout" }));
    }, ms);
  });
  // Nobody may be waiting for it any more.
  late.catch(() => {});
  const stop = (): void => clearTimeout(timer);
  const stream: Bytes = new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await Promise.race([reader.read(), late]);
        if (!done) return controller.enqueue(value);
        controller.close();
      } catch (error) {
        reader.cancel(error).catch(() => {});
        controller.error(brokenOf(error));
      }
    },
    cancel: (reason) => reader.cancel(reason),
  }, { highWaterMark: 0 });
  return { body: stream, [Symbol.dispose]: stop };
}

function brokenOf(error: unknown): ApiError {
  const known = apiErrorOf(error);
  if (known.status !== 500) return known;
  const why = "Cannot read the body: it broke off";
  return new ApiError(400, why, { code: "bad_body", cause: error });
}

/**
 * Bounds the time of bodies that do not say how long they are: the limit on their
 * length reads those whole before any handler runs.
 */
export function timedBodies(ms: number): MiddlewareHandler<Env> {
  return async (c, next) => {
    const { body } = c.req.raw;
    if (body === null || c.req.header("content-length") !== undefined) {
      return await next();
    }
    using coming = timed(body, ms);
    c.req.raw = new Request(c.req.raw, { body: coming.body });
    await next();
  };
}
