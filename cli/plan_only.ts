/**
 * The cache plan of a model whose weights are not loaded.
 *
 * @module
 */
import { createReference, referenceBytes } from "../core/reference/backend.ts";
import { modelShape, type ModelSpec } from "../core/model.ts";
import { type CachePlan, compilePlan } from "../core/plan.ts";
import { type BackendOffer, offerBackend } from "../engine/backends.ts";
import { contextOf } from "../engine/context.ts";
import { pluginsFor } from "../engine/plugins.ts";
import type { LoadOptions } from "../mod.ts";
import { modelSpec } from "../models/arch/mod.ts";
import type { GgufFile } from "../models/gguf.ts";

const LIMITS = { rows: 1, seqs: 1, wanted: 1, top: 1 };

/** The plan that `load()` would make of the same options. */
export async function planOnly(
  file: GgufFile,
  trained: ModelSpec,
  options: LoadOptions,
): Promise<CachePlan> {
  const context = contextOf(trained, options);
  const spec = modelSpec(file, context);
  const { formats, weights } = options.backend === "reference"
    ? referenceOffer(spec)
    : await offerBackend(file, spec, context, options);
  const { plan, close } = await compilePlan({
    model: modelShape(spec),
    backend: formats,
    plugins: pluginsFor(spec, options.plugins),
    ...(weights === undefined ? {} : { weights }),
  });
  await close();
  return plan;
}

/** A backend that can be asked what it reads and how large blocks are, no more. */
function referenceOffer(
  spec: ModelSpec,
): Pick<BackendOffer, "formats" | "weights"> {
  const bytes = referenceBytes(spec, LIMITS, 0, 0);
  const read = (): never => {
    throw new TypeError("Cannot read weights: only the plan is wanted");
  };
  return {
    formats: createReference({ spec, read, limits: { ...LIMITS, bytes } }),
  };
}
