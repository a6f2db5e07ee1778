/**
 * Low-rank adapters (LoRA) from files, fitted to a model.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import type { Adapter, AdapterModule } from "../../core/adapters.ts";
import { ModelError } from "../../core/errors.ts";
import type { ModelSpec, RopeSpec } from "../../core/model.ts";
import { ARCHITECTURES } from "../arch/mod.ts";
import { openGguf } from "../gguf.ts";
import { fit, type Pair } from "./fit.ts";
import { ggufPairs } from "./gguf.ts";
import { PEFT_CONFIG, PEFT_WEIGHTS, peftPairs } from "./peft.ts";
import { type AdapterFile, adapterFile } from "./stored.ts";

/**
 * Architectures that are trained with neighbours that turn together. Of others, GGUF
 * reorders the rows where its own arithmetic wants that.
 */
const TRAINED_SO: ReadonlySet<string> = new Set(["ernie4_5", "glm4"]);

/** How long names may be. */
const MOST_NAME = 100;

/**
 * Opens adapters by name: GGUF files, folders as PEFT saves them, or the safetensors
 * file of one. Their values are read later. They come in the order of their content,
 * whatever the order of their names, so that sums of several are always the same.
 *
 * @throws {ModelError} for what is no adapter, or none of this model.
 * @throws {RangeError} for a name that is empty, too long or has control characters.
 */
export async function openAdapters(
  paths: Readonly<Record<string, string>>,
  spec: ModelSpec,
  signal?: AbortSignal,
): Promise<readonly Adapter[]> {
  const out: Adapter[] = [];
  for (const [name, path] of Object.entries(paths)) {
    if (!/^[^\p{Cc}"]+$/u.test(name) || name.length > MOST_NAME) {
      throw new RangeError(
        `Cannot load an adapter as ${
          JSON.stringify(name.slice(0, MOST_NAME))
        }: a name of 1 to ${MOST_NAME} characters without quotes is wanted`,
      );
    }
    signal?.throwIfAborted();
    out.push(await openAdapter(name, path, spec, signal));
  }
  return out.sort((a, b) => a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

async function openAdapter(
  name: string,
  path: string,
  spec: ModelSpec,
  signal: AbortSignal | undefined,
): Promise<Adapter> {
  const weights = await weightsOf(path);
  const file = await statOf(weights);
  const hash = createHash("sha256");
  let pairs: readonly Pair[], style: RopeSpec["style"];
  if (weights.endsWith(".safetensors")) {
    const peft = await peftPairs(file, spec);
    pairs = peft.pairs;
    style = TRAINED_SO.has(spec.architecture) ? "neighbours" : "halves";
    hash.update(`${peft.config.length} `).update(peft.config);
  } else {
    const gguf = await openGguf(weights, { signal });
    pairs = ggufPairs(gguf, file, spec);
    style = ARCHITECTURES.get(spec.architecture)?.ropeStyle ?? "halves";
  }
  await hashFile(file, hash, signal);
  const modules = new Map<string, AdapterModule>();
  for (const pair of pairs) {
    for (const module of fit(weights, spec, pair, style)) {
      if (modules.has(module.tensor)) {
        throw new ModelError(
          weights,
          `the model's matrix "${module.tensor}" is adapted twice, wanted once`,
        );
      }
      modules.set(module.tensor, module);
    }
  }
  if (modules.size === 0) {
    throw new ModelError(weights, "it adapts nothing: it has no matrices");
  }
  return { name, id: hash.digest("hex"), modules };
}

/** The file with the matrices. */
async function weightsOf(path: string): Promise<string> {
  const info = await Deno.stat(path).catch((cause) => {
    if (cause instanceof Deno.errors.NotFound) {
      throw new ModelError(path, "there is no such adapter", { cause });
    }
    throw cause;
  });
  if (!info.isDirectory) {
    if (!/\.(bin|pt|pth)$/.test(path)) return path;
    throw new ModelError(
      path,
      `it is a pickle, which can run code: save it as safetensors`,
    );
  }
  const weights = join(path, PEFT_WEIGHTS);
  try {
    await Deno.stat(weights);
    return weights;
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new ModelError(
      path,
      `there is no "${PEFT_WEIGHTS}" in this folder, wanted it beside "${PEFT_CONFIG}"`,
      { cause },
    );
  }
}

async function statOf(path: string): Promise<AdapterFile> {
  const info = await Deno.stat(path);
  if (info.isFile) return adapterFile(path);
  throw new ModelError(path, "this is not a regular file, wanted an adapter");
}

async function hashFile(
  { path }: AdapterFile,
  hash: ReturnType<typeof createHash>,
  signal: AbortSignal | undefined,
): Promise<void> {
  using handle = await Deno.open(path, { read: true });
  const piece = new Uint8Array(1 << 20);
  for (;;) {
    signal?.throwIfAborted();
    const got = await handle.read(piece);
    if (got === null) return;
    hash.update(piece.subarray(0, got));
  }
}
