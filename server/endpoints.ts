/**
 * Every endpoint: what answers it, and what is said of it.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { z } from "npm:zod@4.6.7";
import type { Env } from "./context.ts";
import { chat } from "./routes/chat.ts";
import { health } from "./routes/health.ts";
import { changeModel, listModels, showModel } from "./routes/models.ts";
import { chatBody } from "./schema/chat.ts";
import { modelBody } from "./schema/others.ts";

/** One endpoint. */
export interface Endpoint {
  readonly method: "get" | "post";
  /** Hono's form: `/v1/models/:model`. */
  readonly path: string;
  /** Other paths by which it is known. */
  readonly also?: readonly string[];
  readonly summary: string;
  readonly body?: z.ZodType;
  readonly query?: z.ZodObject;
  /** What it answers with, in words. */
  readonly answers: string;
  /** Types of its answer. Default: JSON. */
  readonly types?: readonly string[];
  /** Statuses of errors beside those that all have. */
  readonly errors?: readonly number[];
  readonly handle: (c: Context<Env>) => Response | Promise<Response>;
}

/** All of them. */
export const ENDPOINTS: readonly Endpoint[] = [
  {
    method: "post",
    path: "/v1/chat/completions",
    also: ["/chat/completions"],
    summary: "Answers a conversation",
    body: chatBody,
    answers: "The answer; with `stream`, its chunks as events",
    types: ["application/json", "text/event-stream"],
    errors: [404, 429],
    handle: chat,
  },
  {
    method: "get",
    path: "/v1/models",
    also: ["/models"],
    summary: "All models and where they are",
    answers: "A list of models",
    handle: listModels,
  },
  {
    method: "get",
    path: "/v1/models/:model{.+}",
    summary: "One model",
    answers: "The model",
    errors: [404],
    handle: showModel,
  },
  ...(["load", "unload", "sleep"] as const).map((act): Endpoint => ({
    method: "post",
    path: `/models/${act}`,
    summary: {
      load: "Loads a model",
      unload: "Gives a model's memory back, and refuses requests for it",
      sleep: "Gives a model's memory back until somebody asks for it",
    }[act],
    body: modelBody,
    answers: "The model",
    errors: [404, 409],
    handle: changeModel(act),
  })),
  {
    method: "get",
    path: "/health",
    also: ["/v1/health"],
    summary: "Whether requests are taken",
    answers: "They are",
    handle: health,
  },
];
