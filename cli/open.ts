/**
 * Loading with a progress bar, the same for every command.
 *
 * @module
 */
import { type Engine, load } from "../mod.ts";
import { pull } from "../models/pull.ts";
import type { Host } from "./host.ts";
import type { CliOptions } from "./options.ts";
import { Progress } from "./progress.ts";

/** The model of commands that name none. */
export const DEFAULT_MODEL = "smollm2";

/** `load()` with the options of the command line. */
export async function openModel(
  model: string,
  options: CliOptions,
  host: Host,
  signal: AbortSignal,
): Promise<Engine> {
  const progress = new Progress(host);
  try {
    return await load(model, {
      ...options.load,
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
