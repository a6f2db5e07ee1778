/**
 * Models as published on hubs: a folder with config.json, a tokenizer and weights in
 * safetensors files. It is told in GGUF's words, so that nothing behind it has to
 * know.
 *
 * @module
 */
import { join, resolve } from "node:path";
import { ModelError } from "../core/errors.ts";
import { fingerprintOf } from "./evidence.ts";
import type { ModelFile } from "./model_file.ts";
import { folderOf, readJson, weightFiles } from "./safetensors/folder.ts";
import { describe } from "./safetensors/metadata.ts";
import { readShards } from "./safetensors/shards.ts";
import { tensorsOf } from "./safetensors/tensors.ts";
import { readTokenizer } from "./safetensors/tokenizer.ts";

/**
 * Opens a folder of safetensors, or the one that a config.json or *.safetensors file
 * lies in, and checks its structure.
 *
 * @throws {ModelError} that names the file, what is wrong, wanted and actual.
 */
export async function openSafetensors(
  path: string,
  { signal }: { readonly signal?: AbortSignal | undefined } = {},
): Promise<ModelFile> {
  const folder = folderOf(path);
  const config = await readJson(folder.path, "config.json");
  if (config === undefined) {
    throw new ModelError(
      path,
      `there is no "config.json" in the folder, wanted a model as published ` +
        `on hubs: config.json, tokenizer.json and *.safetensors`,
    );
  }
  const model = describe(join(folder.path, "config.json"), config);
  signal?.throwIfAborted();
  const shards = await readShards(
    folder.path,
    await weightFiles(folder),
    signal,
  );
  const tensors = tensorsOf(shards, model);
  checkOutput(path, tensors, model.tied);
  const rows = tensors.get("token_embd.weight")?.outputs;
  if (rows !== undefined && rows !== model.vocab) {
    throw new ModelError(
      path,
      `"vocab_size" in config.json is ${model.vocab}, the embedding has ` +
        `${rows} rows, wanted as many`,
    );
  }
  const words = await readTokenizer(folder.path, config, rows);
  signal?.throwIfAborted();
  const said = new TextEncoder().encode(JSON.stringify(config));
  return {
    path,
    files: shards.files,
    format: "safetensors",
    metadata: {
      "general.name": resolve(folder.path).replace(/^.*[\\/]/, ""),
      ...model.metadata,
      ...words?.metadata,
    },
    vocabulary: words?.vocabulary,
    tensors,
    rope: model.rope,
    fingerprint: await fingerprintOf(
      shards.files.map(({ bytes }) => bytes),
      [said, ...shards.evidence],
    ),
  };
}

/** The record takes a model without an output for a tied one. */
function checkOutput(
  path: string,
  tensors: ReadonlyMap<string, unknown>,
  tied: boolean,
): void {
  if (tied || tensors.has("output.weight")) return;
  throw new ModelError(
    path,
    `tensor "lm_head.weight" is missing, wanted it, or "tie_word_embeddings" ` +
      `true in config.json`,
  );
}
