/**
 * Engines whose model's file stays, and sessions in a folder of their own, for tests.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import {
  writeGguf,
  type WrittenFile,
} from "../../models/testing/gguf_writer.ts";
import { tinyChat } from "../../models/testing/tiny_chat.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { prefixCache } from "../../plugins/prefix_cache.ts";
import type { Engine } from "../engine.ts";
import { load } from "../load.ts";
import type { GenerateOptions, LoadOptions, Usage } from "../options.ts";

/** A folder that is there for as long as `use` runs. */
export async function withFolder<T>(
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "quire_sessions_" });
  try {
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

/** Writes a model, the tiny one that can be talked to by default, and returns its path. */
export async function writeModel(
  folder: string,
  model: WrittenFile = tinyChat(),
  name = "model.gguf",
): Promise<string> {
  const path = `${folder}/${name}`;
  await Deno.writeFile(path, writeGguf(model));
  return path;
}

/** Loads it with blocks of 8 and a prefix cache; every step's books are checked. */
export function open(
  path: string,
  plugins: readonly Plugin[] = [],
  options: LoadOptions = {},
): Promise<Engine> {
  return load(path, {
    threads: 2,
    check: true,
    plugins: [pagedAttention({ blockTokens: 8 }), prefixCache(), ...plugins],
    ...options,
  });
}

/** What a request made. */
export interface Made {
  readonly text: string;
  readonly tokens: readonly number[];
  readonly usage: Usage;
}

/** Reads an answer to its end. */
export async function collect(
  parts: ReturnType<Engine["generate"]>,
): Promise<Made> {
  const tokens: number[] = [];
  let text = "";
  for await (const part of parts) {
    tokens.push(...part.tokens);
    text += part.text;
    if (part.usage !== undefined) return { text, tokens, usage: part.usage };
  }
  throw new Error("no last part");
}

/** `maxTokens` tokens, whatever they are. */
export function make(
  engine: Engine,
  options: GenerateOptions,
): Promise<Made> {
  return collect(engine.generate({ ignoreEos: true, ...options }));
}

/** A prompt of `length` tokens. */
export function promptOf(length: number, vocab = 200): number[] {
  return Array.from({ length }, (_, i) => 5 + (i * i * 7 + i) % (vocab - 5));
}
