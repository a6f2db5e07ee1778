/**
 * Loading with a progress bar, the same for every command.
 *
 * @module
 */
import {
  type Engine,
  load,
  type LoadOptions,
  pagedAttention,
  prefixCache,
} from "../mod.ts";
import { pull } from "../models/pull.ts";
import type { Host } from "./host.ts";
import { kvPluginOf } from "./kv.ts";
import type { CliOptions } from "./options.ts";
import { Progress } from "./progress.ts";

/** The model of commands that name none. */
export const DEFAULT_MODEL = "smollm2";

/** What `load()` is given; fewer bits for K and V come with the default plugins. */
export async function loadOptionsOf(
  model: string,
  { load, kv }: CliOptions,
): Promise<LoadOptions> {
  if (kv === undefined) return load;
  const plugins = load.plugins ?? [pagedAttention(), prefixCache()];
  return { ...load, plugins: [...plugins, await kvPluginOf(kv, model)] };
}

/** `load()` with the options of the command line. */
export async function openModel(
  model: string,
  options: CliOptions,
  host: Host,
  signal: AbortSignal,
): Promise<Engine> {
  // What a calibration is read beside is fetched with its bar as well.
  if (options.kv !== undefined) await pullModel(model, host, signal);
  const wanted = await loadOptionsOf(model, options);
  const progress = new Progress(host);
  try {
    return await load(model, {
      ...wanted,
      signal,
      onProgress: progress.report,
    });
  } finally {
    progress.end();
  }
}

/** `pull()` with a progress bar: the path of the model's file. */
export async function pullModel(
  model: string,
  host: Host,
  signal: AbortSignal,
): Promise<string> {
  const progress = new Progress(host);
  try {
    return await pull(model, {
      signal,
      onProgress: ({ stage, file, received, total }) =>
        progress.report({
          stage: "pull",
          what: `${file} (${stage})`,
          done: received,
          total,
        }),
    });
  } finally {
    progress.end();
  }
}
