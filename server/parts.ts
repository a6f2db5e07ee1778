/**
 * What the server is made of, beside the app itself: its types have to be public,
 * which those of an npm package cannot be said to be.
 *
 * @module
 */
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
