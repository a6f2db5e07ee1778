/**
 * The tiny models, opened.
 *
 * @module
 */
import type { ModelSpec } from "../../core/model.ts";
import { modelSpec } from "../../models/arch/mod.ts";
import { type GgufFile, openGguf } from "../../models/gguf.ts";
import { readTensor } from "../../models/weights.ts";
import { openTiny, type TinyFixture } from "./tiny_fixtures.ts";

/** A tiny model with its expected outputs. */
export interface TinyModel {
  readonly fixture: TinyFixture;
  readonly file: GgufFile;
  readonly spec: ModelSpec;
  /** Values of a tensor, row by row. */
  readonly read: (name: string) => Promise<Float32Array>;
}

const WINDOW = "llama.attention.sliding_window";

/** Opens a model that `tinyModels()` names. */
export async function openTinyModel(name: string): Promise<TinyModel> {
  const fixture = await openTiny(name);
  const file = await openGguf(fixture.path);
  const read = (tensor: string) => readTensor(file, tensor);
  return { fixture, file, spec: specOf(file), read };
}

/**
 * Files of the architecture "llama" may ask for a window in every layer. It is
 * nothing new to a backend, so it is tested whether or not loading allows it.
 */
function specOf(file: GgufFile): ModelSpec {
  const window = file.metadata[WINDOW];
  if (typeof window !== "number" || window === 0) return modelSpec(file);
  const metadata = { ...file.metadata, [WINDOW]: 0 };
  const spec = modelSpec({ ...file, metadata });
  return { ...spec, layers: spec.layers.map((l) => ({ ...l, window })) };
}
