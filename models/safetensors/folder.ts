/**
 * What lies in the folder of a model, and reading the small part of it.
 *
 * ```text
 *  config.json                   the model in numbers
 *  generation_config.json        tokens that begin and end (may be absent)
 *  tokenizer.json                the vocabulary
 *  tokenizer_config.json         what else a tokenizer does (may be absent)
 *  chat_template.jinja           (may be absent)
 *  model.safetensors, or model.safetensors.index.json and the files it names
 * ```
 *
 * @module
 */
import { dirname, join } from "node:path";
import { ModelError } from "../../core/errors.ts";
import { quote } from "../gguf/walk.ts";
import { isObject, type JsonObject, kindOf, parseObject } from "./json.ts";

/** Longest JSON beside the weights, bytes; vocabularies of today take 35 MB. */
const MOST_JSON = 200_000_000;

/** Longest name of a file with weights, characters; systems take 255 bytes. */
const MOST_NAME = 100;

const INDEX = "model.safetensors.index.json";
const SINGLE = "model.safetensors";

/** A model's folder. */
export interface Folder {
  /** As the user gave it, or the one a file he gave lies in. */
  readonly path: string;
  /** A file with weights that was named itself. */
  readonly named: string | undefined;
}

/** The files with weights, and which tensor an index says is in which. */
export interface WeightFiles {
  readonly names: readonly string[];
  /** File name of each tensor; undefined where there is no index. */
  readonly index: ReadonlyMap<string, string> | undefined;
}

/** The folder that a path names or lies in. */
export function folderOf(path: string): Folder {
  if (!/(\.safetensors|(^|[\\/])config\.json)$/i.test(path)) {
    return { path, named: undefined };
  }
  const name = path.slice(path.search(/[^\\/]*$/));
  const named = name.toLowerCase().endsWith(".safetensors") ? name : undefined;
  return { path: dirname(path), named };
}

/**
 * Reads a file of JSON; undefined where there is none. `unique`: see `parseObject()`.
 *
 * @throws {ModelError} for one that is no object of JSON, or cannot be read.
 */
export async function readJson(
  folder: string,
  name: string,
  unique = true,
): Promise<JsonObject | undefined> {
  const path = join(folder, name);
  const bytes = await readSmall(path);
  return bytes && parseObject(path, "it", bytes, unique);
}

/** Reads a text in UTF-8; undefined where there is none. */
export async function readText(
  folder: string,
  name: string,
): Promise<string | undefined> {
  const bytes = await readSmall(join(folder, name));
  return bytes && new TextDecoder().decode(bytes);
}

async function readSmall(
  path: string,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  try {
    const { size, isFile } = await Deno.stat(path);
    if (!isFile) throw new ModelError(path, "it is no file, wanted one");
    if (size > MOST_JSON) {
      throw new ModelError(
        path,
        `it has ${size} bytes, wanted at most ${MOST_JSON}`,
      );
    }
    return await Deno.readFile(path);
  } catch (cause) {
    if (cause instanceof Deno.errors.NotFound) return undefined;
    throw unreadable(path, cause);
  }
}

/** What the system says about a file, as an error that names it. */
export function unreadable(path: string, cause: unknown): unknown {
  if (cause instanceof Deno.errors.NotFound) {
    return new ModelError(path, "there is no such file", { cause });
  }
  if (cause instanceof Deno.errors.PermissionDenied) {
    return new ModelError(path, "the system does not let you read it", {
      cause,
    });
  }
  return cause;
}

/**
 * Finds the files with weights: those of the index, `model.safetensors`, or the only
 * `*.safetensors` there is.
 *
 * @throws {ModelError} where there are none, or an index is broken.
 */
export async function weightFiles(
  { path, named }: Folder,
): Promise<WeightFiles> {
  const json = await readJson(path, INDEX);
  const index = json && indexOf(join(path, INDEX), json);
  const listed = index && [...new Set(index.values())].sort();
  if (named !== undefined && !listed?.includes(named)) {
    return { names: [named], index: undefined };
  }
  if (listed !== undefined) return { names: listed, index };
  const all: string[] = [];
  for await (const entry of Deno.readDir(path)) {
    if (/\.safetensors$/i.test(entry.name)) all.push(entry.name);
  }
  const only = all.includes(SINGLE) ? SINGLE : all[0];
  if (only !== undefined && (only === SINGLE || all.length === 1)) {
    return { names: [only], index: undefined };
  }
  throw new ModelError(
    path,
    all.length === 0
      ? `there are no weights in the folder, wanted "${SINGLE}" or "${INDEX}" ` +
        `and the files it names`
      : `there are ${all.length} files of weights and no "${INDEX}" in the ` +
        `folder, wanted one; get it too, or name one of the files`,
  );
}

function indexOf(path: string, json: JsonObject): Map<string, string> {
  const { weight_map: map } = json;
  if (!isObject(map)) {
    throw new ModelError(
      path,
      `"weight_map" is ${
        kindOf(map)
      }, wanted an object: a file name for each ` +
        `tensor`,
    );
  }
  const index = new Map<string, string>();
  for (const [name, file] of Object.entries(map)) {
    // A plain name in this folder: what lies elsewhere is none of its business.
    if (
      typeof file !== "string" || file.length > MOST_NAME ||
      !/^[^\\/:\p{Cc}\p{Zl}\p{Zp}]+\.safetensors$/iu.test(file)
    ) {
      throw new ModelError(
        path,
        `tensor ${quote(name)} is in the file ${kindOf(file)}, wanted a name ` +
          `like "model-00001-of-00002.safetensors" in the same folder`,
      );
    }
    index.set(name, file);
  }
  if (index.size === 0) {
    throw new ModelError(path, `"weight_map" is empty, wanted tensors in it`);
  }
  return index;
}
