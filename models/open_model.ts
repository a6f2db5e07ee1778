/**
 * Opens a model by what its path is.
 *
 * @module
 */
import { openGguf, type OpenOptions } from "./gguf.ts";
import type { ModelFile } from "./model_file.ts";

/**
 * Opens a GGUF file, or a folder of safetensors as published on model hubs: by the
 * folder's own path, or by that of its config.json or a *.safetensors file in it.
 *
 * ```ts
 * const file = await openModel("model.gguf");
 * console.log(file.format, file.tensors.size);
 * ```
 *
 * @throws {ModelError} that names the file, what is wrong, wanted and actual.
 */
export async function openModel(
  path: string,
  options: Pick<OpenOptions, "signal" | "listUnread"> = {},
): Promise<ModelFile> {
  if (
    !(await isFolder(path)) &&
    !/(\.safetensors|(^|[\\/])config\.json)$/i.test(path)
  ) {
    return await openGguf(path, options);
  }
  const { openSafetensors } = await import("./safetensors.ts");
  return await openSafetensors(path, options);
}

/** What cannot be looked at is left to the one who reads it, and says why. */
async function isFolder(path: string): Promise<boolean> {
  try {
    // A folder called x.gguf is a mistake, and said to be one.
    return !/\.gguf$/i.test(path) && (await Deno.stat(path)).isDirectory;
  } catch {
    return false;
  }
}
