/**
 * Where downloaded files live.
 *
 * @module
 */

import { join, resolve } from "node:path";

/** What the choice depends on, so that a test can stand on another platform. */
export interface Platform {
  readonly os: typeof Deno.build.os;
  readonly env: (name: string) => string | undefined;
}

const here: Platform = { os: Deno.build.os, env: readable };

/**
 * The folder for everything this project keeps between runs: `QUIRE_HOME` when
 * set, else `quire` under `XDG_CACHE_HOME`, else under the platform's folder for
 * caches (`~/.cache`, `~/Library/Caches`, `%LOCALAPPDATA%`).
 *
 * @throws {TypeError} If no environment variable says where that is.
 */
export function cacheFolder({ os, env }: Platform = here): string {
  const own = env("QUIRE_HOME");
  if (own) return resolve(own);
  const shared = env("XDG_CACHE_HOME");
  if (shared) return resolve(shared, "quire");
  if (os === "windows") {
    const local = env("LOCALAPPDATA");
    if (local) return join(local, "quire");
    const profile = env("USERPROFILE");
    if (profile) return join(profile, "AppData", "Local", "quire");
  } else {
    const home = env("HOME");
    if (home) {
      return join(
        home,
        ...os === "darwin" ? ["Library", "Caches"] : [".cache"],
        "quire",
      );
    }
  }
  throw new TypeError(
    "Cannot choose a cache folder: no home folder in the environment; set QUIRE_HOME to a folder, " +
      "and allow it to be read (--allow-env=QUIRE_HOME)",
  );
}

/** A variable that may not be read counts as one that is not set. */
function readable(name: string): string | undefined {
  try {
    return Deno.env.get(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotCapable) return undefined;
    throw error;
  }
}
