/**
 * All files with weights of a model: their headers, checked one by one and together.
 *
 * @module
 */
import { join } from "node:path";
import { ModelError } from "../../core/errors.ts";
import { sampleData, sampleTensor } from "../evidence.ts";
import { HeaderSource } from "../gguf/source.ts";
import { quote } from "../gguf/walk.ts";
import { unreadable, type WeightFiles } from "./folder.ts";
import { headerBytes, parseHeader, type StoredTensor } from "./header.ts";

/** A tensor, and which file it is in. */
export interface PlacedTensor extends StoredTensor {
  /** Index into the files. */
  readonly file: number;
}

/** What the files hold. */
export interface Shards {
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
  readonly tensors: ReadonlyMap<string, PlacedTensor>;
  /** SHA-256 of each header, then pieces of the data; see `ModelFile.fingerprint`. */
  readonly evidence: readonly Uint8Array[];
}

/**
 * Reads the headers of all files.
 *
 * @throws {ModelError} for a file that is missing or broken, a tensor that two of them
 * have, and one that is not where the index says.
 */
export async function readShards(
  folder: string,
  { names, index }: WeightFiles,
  signal?: AbortSignal,
): Promise<Shards> {
  const files: { path: string; bytes: number }[] = [];
  const tensors = new Map<string, PlacedTensor>();
  const evidence: Uint8Array[] = [];
  for (const [file, name] of names.entries()) {
    signal?.throwIfAborted();
    const path = join(folder, name);
    const shard = await readShard(path);
    files.push({ path, bytes: shard.bytes });
    evidence.push(...shard.evidence);
    for (const tensor of shard.tensors) {
      const before = tensors.get(tensor.name);
      if (before !== undefined) {
        throw new ModelError(
          path,
          `tensor ${quote(tensor.name)} is in "${names[before.file]}" as ` +
            `well, wanted it once`,
        );
      }
      tensors.set(tensor.name, { ...tensor, file });
    }
  }
  for (const [tensor, name] of index ?? []) {
    const { file } = tensors.get(tensor) ?? {};
    if (file !== undefined && names[file] === name) continue;
    throw new ModelError(
      join(folder, name),
      `tensor ${quote(tensor)} is ${
        file === undefined ? "not in it" : `in "${names[file]}"`
      }, the index says that it is in this file`,
    );
  }
  return { files, tensors, evidence };
}

async function readShard(path: string): Promise<{
  readonly bytes: number;
  readonly tensors: readonly StoredTensor[];
  readonly evidence: readonly Uint8Array[];
}> {
  let file: Deno.FsFile, size: number;
  try {
    const info = await Deno.stat(path);
    if (!info.isFile) {
      throw new ModelError(path, "it is no file, wanted a safetensors file");
    }
    size = info.size;
    file = await Deno.open(path, { read: true });
  } catch (cause) {
    throw unreadable(path, cause);
  }
  using _ = file;
  const src = new HeaderSource(path, file, size);
  const first = new Uint8Array(8);
  if (size >= 8) src.readAt(0, first);
  const header = new Uint8Array(headerBytes(path, size, first));
  src.readAt(8, header);
  const digest = crypto.subtle.digest("SHA-256", header);
  const tensors = parseHeader(path, size, header);
  return {
    bytes: size,
    tensors,
    evidence: [
      new Uint8Array(await digest),
      ...sampleData(src, 8 + header.length),
      ...tensors.map((tensor) => sampleTensor(src, tensor)),
    ],
  };
}
