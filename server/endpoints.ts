/**
 * Every endpoint: what answers it, and what is said of it.
 *
 * @module
 */
import type { Context } from "npm:hono@4.13.19";
import type { z } from "npm:zod@4.6.7";
import type { Env } from "./context.ts";
import { chat } from "./routes/chat.ts";
import { complete } from "./routes/completions.ts";
import { docs, document } from "./routes/docs.ts";
import { embeddings } from "./routes/embeddings.ts";
import { health } from "./routes/health.ts";
import { metrics } from "./routes/metrics.ts";
import { changeModel, listModels, showModel } from "./routes/models.ts";
import { respond } from "./routes/responses.ts";
import { changeSlot, listSlots } from "./routes/slots.ts";
import { detokenize, tokenize } from "./routes/tokenize.ts";
import { chatBody } from "./schema/chat.ts";
import { completionBody } from "./schema/completion.ts";
import {
  detokenizeBody,
  embeddingBody,
  modelBody,
  slotBody,
  slotListQuery,
  slotQuery,
  tokenizeBody,
} from "./schema/others.ts";
import { responseBody } from "./schema/responses.ts";

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
  /** Whether the body may be left out. */
  readonly bodyOptional?: boolean;
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
    method: "post",
    path: "/v1/completions",
    also: ["/completions"],
    summary: "Continues texts",
    body: completionBody,
    answers: "The text; with `stream`, its chunks as events",
    types: ["application/json", "text/event-stream"],
    errors: [404, 429],
    handle: complete,
  },
  {
    method: "post",
    path: "/v1/responses",
    also: ["/responses"],
    summary: "Answers a text or a conversation",
    body: responseBody,
    answers: "The response; with `stream`, its events",
    types: ["application/json", "text/event-stream"],
    errors: [404, 429],
    handle: respond,
  },
  {
    method: "post",
    path: "/v1/embeddings",
    also: ["/embeddings"],
    summary: "Makes vectors of texts: the mean of the last hidden states",
    body: embeddingBody,
    answers: "The vectors, each of length 1",
    errors: [404, 429],
    handle: embeddings,
  },
  {
    method: "post",
    path: "/tokenize",
    summary: "Makes tokens of a text",
    body: tokenizeBody,
    answers: "The tokens",
    errors: [404],
    handle: tokenize,
  },
  {
    method: "post",
    path: "/detokenize",
    summary: "Makes a text of tokens",
    body: detokenizeBody,
    answers: "The text",
    errors: [404],
    handle: detokenize,
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
  {
    method: "get",
    path: "/metrics",
    summary: "Everything there is to chart, in Prometheus' format",
    answers: "The metrics",
    types: ["text/plain"],
    handle: metrics,
  },
  {
    method: "get",
    path: "/slots",
    summary: "What the caller's slots have",
    query: slotListQuery,
    answers: "The slots",
    handle: listSlots,
  },
  {
    method: "post",
    path: "/slots/:id",
    summary: "Saves a slot to a file, restores one, or erases it",
    query: slotQuery,
    body: slotBody,
    bodyOptional: true,
    answers: "What was done",
    errors: [404, 501],
    handle: changeSlot,
  },
  {
    method: "get",
    path: "/openapi.json",
    summary: "This document",
    answers: "An OpenAPI document",
    handle: document,
  },
  {
    method: "get",
    path: "/docs",
    summary: "This document as a page",
    answers: "A page",
    types: ["text/html"],
    handle: docs,
  },
];
