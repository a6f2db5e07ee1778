/**
 * The tiny models, opened.
 *
 * @module
 */
import type { ModelSpec } from "../../core/model.ts";
import { modelSpec } from "../../models/arch/mod.ts";
import { openGguf } from "../../models/gguf.ts";
import type { ModelFile } from "../../models/model_file.ts";
import { readTensor } from "../../models/weights.ts";
import { openTiny, type TinyFixture } from "./tiny_fixtures.ts";

/** A tiny model with its expected outputs. */
export interface TinyModel {
  readonly fixture: TinyFixture;
  readonly file: ModelFile;
  readonly spec: ModelSpec;
  /** Values of a tensor, row by row. */
  readonly read: (name: string) => Promise<Float32Array>;
}

/** Opens a model that `tinyModels()` names. */
export async function openTinyModel(name: string): Promise<TinyModel> {
  const fixture = await openTiny(name);
  const file = await openGguf(fixture.path);
  const spec = modelSpec(file);
  const read = (tensor: string) => readTensor(file, tensor, spec.tensors);
  return { fixture, file, spec, read };
}
