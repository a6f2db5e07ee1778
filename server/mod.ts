/**
 * The server: an OpenAI-compatible Hono app over an engine.
 *
 * @module
 */
export * from "./app.ts";
export type { Env } from "./context.ts";
export * from "./log.ts";
export * from "./models.ts";
export * from "./serving.ts";
export * from "./settings.ts";
