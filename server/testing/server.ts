/**
 * Servers of a model that says nothing in particular, for tests.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Hono } from "npm:hono@4.13.19";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import type { LoadOptions } from "../../engine/options.ts";
import { withFile } from "../../models/testing/files.ts";
import { tinyChat } from "../../models/testing/tiny_chat.ts";
import { createApp } from "../app.ts";
import type { Env } from "../context.ts";
import { Serving } from "../serving.ts";
import type { ServerOptions } from "../settings.ts";

/** A server in this process. */
export interface Served {
  readonly app: Hono<Env>;
  readonly engine: Engine;
  readonly serving: Serving;
}

/** Loads the tiny model. */
export function tinyEngine(
  options: LoadOptions = {},
  model: Parameters<typeof tinyChat>[0] = {},
): Promise<Engine> {
  return withFile(
    tinyChat(model),
    (path) => load(path, { threads: 1, check: true, ...options }),
  );
}

/** Runs `use` with a server, and sees that nothing is left of its requests. */
export async function withServer(
  use: (served: Served) => Promise<void>,
  options: ServerOptions = {},
  { load = {}, model = {} }: {
    readonly load?: LoadOptions;
    readonly model?: Parameters<typeof tinyChat>[0];
  } = {},
): Promise<void> {
  await using engine = await tinyEngine(load, model);
  const serving = new Serving(engine, { model: "tiny", ...options });
  const app = createApp(serving);
  await use({ app, engine, serving });
  await atRest({ engine, serving });
}

/** Sees that no request holds anything any more. */
export async function atRest(
  { engine, serving }: Pick<Served, "engine" | "serving">,
): Promise<void> {
  for (let i = 0; i < 400 && !restful(engine, serving); i++) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  const { blocks: { open, sealed, idle }, sequences } = engine.cache.stat();
  const { running, waiting } = engine.scheduler.stat();
  assert.deepEqual(
    { open, used: sealed - idle, sequences, running, waiting },
    { open: 0, used: 0, sequences: 0, running: 0, waiting: 0 },
  );
  assert.equal(serving.queue.taken, 0, "places are given back");
  for (const { uses } of serving.models.list()) assert.equal(uses, 0);
  engine.check();
}

function restful(engine: Engine, { queue }: Serving): boolean {
  const { sequences } = engine.cache.stat();
  return sequences === 0 && queue.taken === 0 &&
    engine.scheduler.stat().running === 0;
}

/** Sends JSON. */
export async function post(
  app: Pick<Hono<Env>, "request">,
  path: string,
  body: unknown,
  init: RequestInit = {},
): Promise<Response> {
  return await app.request(path, {
    method: "POST",
    body: typeof body === "string" ? body : JSON.stringify(body),
    ...init,
    headers: {
      "content-type": "application/json",
      ...init.headers as Record<string, string> | undefined,
    },
  });
}

/** The events of a stream, without the "data: " before each. */
export async function events(response: Response): Promise<string[]> {
  assert.equal(response.status, 200, await statusText(response));
  const type = response.headers.get("content-type");
  assert.match(type ?? "", /^text\/event-stream/);
  const text = await response.text();
  assert.ok(text.endsWith("\n\n"), "every event is whole");
  return text.split("\n\n").slice(0, -1)
    .filter((event) => !event.startsWith(":"))
    .map((event) => {
      assert.match(event, /^data: [^\n]+$/);
      return event.slice("data: ".length);
    });
}

async function statusText(response: Response): Promise<string> {
  return response.status === 200 ? "" : await response.clone().text();
}

/** The chunks of a stream that ends as it should. */
// deno-lint-ignore no-explicit-any
export async function chunks(response: Response): Promise<any[]> {
  const all = await events(response);
  assert.equal(all.at(-1), "[DONE]");
  return all.slice(0, -1).map((event) => JSON.parse(event));
}

/** What an error says, and that it has the form of one. */
export async function errorOf(
  response: Response,
): Promise<Record<string, unknown>> {
  const text = await response.text();
  const { error } = JSON.parse(text);
  assert.equal(typeof error.message, "string", text);
  assert.equal(typeof error.type, "string", text);
  assert.ok(error.param === null || typeof error.param === "string", text);
  assert.ok(error.code === null || typeof error.code === "string", text);
  return error;
}
