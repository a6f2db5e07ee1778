/**
 * The repository root, for the scripts beside this file.
 *
 * @module
 */

import { fileURLToPath } from "node:url";

/** The folder that holds `deno.json`, as a `file:` URL ending in a slash. */
export const ROOT: string = new URL("../", import.meta.url).href;

/** The path a `file:` URL names, relative to the root where it lies inside. */
export function fromFileUrl(url: URL): string {
  return url.href.startsWith(ROOT)
    ? url.href.slice(ROOT.length)
    : fileURLToPath(url);
}
