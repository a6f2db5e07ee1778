/**
 * The one-layer Llama as a folder of safetensors, whole or bent, for tests.
 *
 * @module
 */
import { join } from "node:path";
import { openGguf } from "../gguf.ts";
import { isObject } from "../safetensors/json.ts";
import { withFile } from "./files.ts";
import { type HubStyle, writeHubFolder } from "./hub_folder.ts";
import { tinyChat } from "./tiny_chat.ts";

/** A model's folder, there until it is disposed of. */
export interface HubModel extends AsyncDisposable {
  readonly path: string;
  /** Path of a file in it. */
  at(name: string): string;
  /** Changes a file of JSON; an object that `change` returns replaces it. */
  edit(name: string, change: (json: HubJson) => unknown): Promise<void>;
}

/** JSON that tests bend. */
// deno-lint-ignore no-explicit-any
export type HubJson = any;

/** Writes it. */
export async function hubModel(style: HubStyle = {}): Promise<HubModel> {
  const path = await Deno.makeTempDir({ prefix: "quire_hub_" });
  await withFile(tinyChat(), async (file) => {
    await writeHubFolder(await openGguf(file), path, style);
  });
  const at = (name: string): string => join(path, name);
  return {
    path,
    at,
    async edit(name, change) {
      const json = JSON.parse(await Deno.readTextFile(at(name)));
      const changed = change(json);
      const text = JSON.stringify(isObject(changed) ? changed : json);
      await Deno.writeTextFile(at(name), text);
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
