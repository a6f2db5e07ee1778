/**
 * A model's folder from a hub, file by file.
 *
 * ```text
 *  config.json ─▶ config.json.new ── a model that can be run? ── no ──▶ error, at once
 *                       │ yes
 *   tokenizer, index, every file that the index names
 *                       │ all there
 *                       ▼
 *                  config.json
 * ```
 *
 * @module
 */
import { join } from "node:path";
import { ModelError } from "../core/errors.ts";
import { readJson, weightFiles } from "./safetensors/folder.ts";
import { describe } from "./safetensors/metadata.ts";

/** Fetches a file of the hub unless it is there; false where the hub has none. */
export type FetchFile = (name: string, as?: string) => Promise<boolean>;

/** What a folder may do without. */
const OPTIONAL = [
  "generation_config.json",
  "tokenizer_config.json",
  "chat_template.jinja",
];

const INDEX = "model.safetensors.index.json";

/**
 * Fills a folder.
 *
 * @param name What the user called the model.
 * @throws {ModelError} for a model that could not be run, before its weights are
 * fetched, and for one that lacks a file.
 */
export async function pullFolder(
  name: string,
  folder: string,
  fetch: FetchFile,
): Promise<void> {
  const part = "config.json.new";
  const need = async (file: string, as?: string): Promise<void> => {
    if (await fetch(file, as)) return;
    throw new ModelError(
      name,
      `there is no "${file}" on the hub, wanted a model in safetensors; of a ` +
        `GGUF model, name the file: "hf:owner/repo/file.gguf"`,
    );
  };
  await need("config.json", part);
  const config = await readJson(folder, part);
  try {
    describe(name, config!);
  } catch (error) {
    // Next time the hub may have another.
    await Deno.remove(join(folder, part));
    throw error;
  }
  await need("tokenizer.json");
  for (const file of OPTIONAL) await fetch(file);
  if (await fetch(INDEX)) {
    const { names } = await weightFiles({ path: folder, named: undefined });
    for (const file of names) await need(file);
  } else {
    await need("model.safetensors");
  }
  await Deno.rename(join(folder, part), join(folder, "config.json"));
}
