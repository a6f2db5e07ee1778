/**
 * Where tests find the shared fixtures and the downloaded models, and how they
 * say that they did not.
 *
 * @module
 */
import { join } from "node:path";
import { cacheFolder } from "../cache_folder.ts";
import { writeGguf, type WrittenFile } from "./gguf_writer.ts";

/** Reference data beside the repository. */
export const FIXTURES: URL = new URL(
  "../../../shared/fixtures/",
  import.meta.url,
);

/** Path of a downloaded model, or undefined where it is not in the cache. */
export function cachedModel(name: string): string | undefined {
  const path = join(cacheFolder(), "models", name);
  return exists(path) ? path : undefined;
}

/** File names of the models that the tests read. */
export const MODELS = {
  smollm2: "SmolLM2-135M-Instruct.Q4_1.gguf",
  gemma3: "gemma-3-270m-q4_k_m.gguf",
} as const;

/** Registers a test of a fixture file, ignored with the reason where absent. */
export function fixtureTest(
  name: string,
  path: string,
  fn: (url: URL, t: Deno.TestContext) => Promise<void> | void,
): void {
  const url = new URL(path, FIXTURES);
  const ignore = !exists(url);
  Deno.test({
    name: ignore ? `${name} (no shared/fixtures/${path})` : name,
    ignore,
    fn: (t) => fn(url, t),
  });
}

/** Registers a test of a downloaded model, ignored with the reason where absent. */
export function modelTest(
  name: string,
  model: keyof typeof MODELS,
  fn: (path: string) => Promise<void> | void,
): void {
  const path = cachedModel(MODELS[model]);
  Deno.test({
    name: path === undefined ? `${name} (${MODELS[model]} not in cache)` : name,
    ignore: path === undefined,
    fn: () => fn(path!),
  });
}

/** A fixture's JSON. */
export async function readJson<T>(url: URL): Promise<T> {
  return JSON.parse(await Deno.readTextFile(url)) as T;
}

/** Writes bytes, or a file built by `writeGguf()`, for as long as `use` runs. */
export async function withFile<T>(
  content: Uint8Array | WrittenFile,
  use: (path: string) => Promise<T>,
  name = "model.gguf",
): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "quire_test_" });
  try {
    const path = `${folder}/${name}`;
    await Deno.writeFile(
      path,
      content instanceof Uint8Array ? content : writeGguf(content),
    );
    return await use(path);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function exists(path: string | URL): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}
