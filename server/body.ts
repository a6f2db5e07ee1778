/**
 * Bodies, read and checked.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { z } from "npm:zod@4.6.7";
import type { Env } from "./context.ts";
import { ApiError, badRequest } from "./errors.ts";
import { invalid } from "./invalid.ts";
import { timed } from "./timed_body.ts";

/** Deepest nesting of a body; what reads it recurses. */
const DEEPEST = 100;

/** A JSON body, as a schema wants it. Throws an ApiError for what is no such. */
export async function readBody<T extends z.ZodType>(
  c: Context<Env>,
  schema: T,
): Promise<z.output<T>> {
  const text = await readText(c);
  return await c.get("serving").turns.run(() => {
    const raw = parse(text);
    const checked = schema.safeParse(raw);
    if (checked.success) return checked.data;
    throw invalid(checked.error.issues, raw);
  });
}

/** The query, as a schema wants it. Throws an ApiError for what is no such. */
export function readQuery<T extends z.ZodType>(
  c: Context<Env>,
  schema: T,
): z.output<T> {
  const raw = c.req.query();
  const checked = schema.safeParse(raw);
  if (checked.success) return checked.data;
  throw invalid(checked.error.issues, raw);
}

async function readText(c: Context<Env>): Promise<string> {
  const type = c.req.header("content-type");
  if (type === undefined || !/^application\/([\w.+-]+\+)?json\b/i.test(type)) {
    throw new ApiError(
      415,
      `Cannot take a body of type "${
        type ?? ""
      }": "application/json" is wanted`,
      { code: "unsupported_media_type" },
    );
  }
  const charset = /charset="?([\w-]+)/i.exec(type)?.[1] ?? "utf-8";
  const encoding = c.req.header("content-encoding") ?? "identity";
  if (!/^utf-?8$/i.test(charset) || !/^identity$/i.test(encoding)) {
    throw new ApiError(
      415,
      `Cannot take a body in "${charset}", encoded as "${encoding}": plain UTF-8 is wanted`,
      { code: "unsupported_media_type" },
    );
  }
  const bytes = await readBytes(c);
  try {
    return new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw badRequest("Cannot read the body: it is no UTF-8", null, "bad_json");
  }
}

/** All bytes, in the time there is for them. */
async function readBytes(c: Context<Env>): Promise<ArrayBuffer> {
  const { body } = c.req.raw;
  if (body === null) return new ArrayBuffer(0);
  const { bodyMs } = c.get("serving").settings;
  using coming = timed(body, bodyMs);
  return await new Response(coming.body).arrayBuffer();
}

function parse(text: string): unknown {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const why = text.trim() === ""
      ? "it is empty"
      : (error as Error).message.split("\n")[0]!.slice(0, 120);
    throw badRequest(
      `Cannot read the body: it is no JSON, ${why}`,
      null,
      "bad_json",
    );
  }
  if (deeper(value, DEEPEST)) {
    throw badRequest(
      `Cannot take the body: it is nested deeper than ${DEEPEST} levels`,
      null,
      "bad_json",
    );
  }
  return value;
}

/** Whether a value is nested deeper than so many levels; does not recurse itself. */
function deeper(value: unknown, most: number): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > most) return true;
    level = level.flatMap((v) =>
      typeof v === "object" && v !== null ? Object.values(v) : []
    );
  }
  return false;
}
