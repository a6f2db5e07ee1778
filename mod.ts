/**
 * Quire runs language models and manages every byte they need.
 *
 * ```ts ignore
 * import { load } from "./mod.ts";
 *
 * await using engine = await load("smollm2");
 * const messages = [{ role: "user", content: "Why is the sky blue?" }];
 * for await (const part of engine.generate({ messages })) {
 *   console.log(part.text);
 * }
 * ```
 *
 * @module
 */
export * from "./engine/options.ts";
export * from "./engine/engine.ts";
export * from "./engine/load.ts";
export * from "./core/errors.ts";
