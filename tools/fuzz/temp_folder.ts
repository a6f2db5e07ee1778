/**
 * Samples as files in a folder, for readers that look for files by name.
 *
 * @module
 */
import { join } from "node:path";
import type { Sample } from "./target.ts";

let folder: string | undefined;
/** Names that are in the folder now. */
const there = new Map<string, Uint8Array>();

/**
 * The path of a folder with these files and no others; the same for every call, so
 * that only what differs is written. `removeSampleFolder()` removes it.
 */
export function sampleFolder(sample: Sample): string {
  folder ??= Deno.makeTempDirSync({ prefix: "fuzz-" });
  for (const name of there.keys()) {
    if (sample.has(name)) continue;
    Deno.removeSync(join(folder, name));
    there.delete(name);
  }
  for (const [name, bytes] of sample) {
    if (there.get(name) === bytes) continue;
    Deno.writeFileSync(join(folder, name), bytes);
    there.set(name, bytes);
  }
  return folder;
}

/** Removes what `sampleFolder()` made, if it did. */
export function removeSampleFolder(): void {
  if (folder === undefined) return;
  Deno.removeSync(folder, { recursive: true });
  folder = undefined;
  there.clear();
}

/** A folder's files as a sample. */
export function readFolder(path: string): Sample {
  const names = [...Deno.readDirSync(path)].map((entry) => entry.name).sort();
  return new Map(
    names.map((name) => [name, Deno.readFileSync(join(path, name))]),
  );
}
