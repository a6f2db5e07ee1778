/**
 * The server: an OpenAI-compatible Hono app over an engine.
 *
 * @module
 */
export type { Hono } from "npm:hono@4.13.19";
export * from "./app.ts";
export type { Env } from "./context.ts";
export * from "./listen.ts";
export type * from "./keys.ts";
export * from "./log.ts";
export type * from "./metrics.ts";
export * from "./models.ts";
export type * from "./queue.ts";
export * from "./serving.ts";
export * from "./settings.ts";
export type * from "./slots.ts";
export * from "./start.ts";
export type * from "./tenants.ts";
export type * from "./turns.ts";
