/**
 * The server: an OpenAI-compatible Hono app over an engine.
 *
 * @module
 */
export * from "./app.ts";
export * from "./parts.ts";
