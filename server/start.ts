/**
 * From models by name to a server's state.
 *
 * @module
 */
import { load } from "../engine/load.ts";
import type { LoadOptions } from "../engine/options.ts";
import { fairShare } from "../plugins/fair_share.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { type ModelEntry, Models } from "./models.ts";
import { Serving } from "./serving.ts";
import type { ServerOptions } from "./settings.ts";

/** A model to serve, and what clients call it. */
export interface NamedModel {
  /** What clients call it. */
  readonly id: string;
  /** What `load()` takes. */
  readonly model: string;
}

/** Settings of `startServing()`. */
export interface StartOptions extends ServerOptions {
  /** How models are loaded. */
  readonly load?: LoadOptions | undefined;
  /** Models sleep after so many milliseconds without a request. Default: never. */
  readonly idleMs?: number | undefined;
}

/**
 * Loads the first model, and names the others, which are loaded when somebody asks.
 * Without `load.plugins` they have paged attention, the prefix cache, and fairness
 * among tenants.
 */
export async function startServing(
  models: readonly NamedModel[],
  { load: options, idleMs, ...server }: StartOptions = {},
): Promise<Serving> {
  const entries = models.map(({ id, model }, i): ModelEntry => ({
    id,
    idleMs,
    eager: i === 0,
    load: (signal) =>
      load(model, {
        plugins: [pagedAttention(), prefixCache(), fairShare()],
        ...options,
        signal,
      }),
  }));
  const serving = new Serving(new Models(entries, server.aliases), server);
  try {
    await serving.models.start();
  } catch (error) {
    await serving[Symbol.asyncDispose]();
    // The reason, not that it is one of a server.
    throw error instanceof Error && error.cause !== undefined
      ? error.cause
      : error;
  }
  return serving;
}

/** "name=model", or a model whose name is its own: a file's without folder and end. */
export function namedModel(text: string): NamedModel {
  const named = /^([\w.:-]+)=(.+)$/.exec(text);
  if (named !== null) return { id: named[1]!, model: named[2]! };
  const file = text.split(/[\\/]/).at(-1)!;
  return { id: file.replace(/\.gguf$/i, ""), model: text };
}
