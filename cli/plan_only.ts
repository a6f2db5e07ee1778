/**
 * The cache plan of a model whose weights are not loaded.
 *
 * @module
 */
import { createReference, referenceBytes } from "../core/reference/backend.ts";
import { modelShape, type ModelSpec } from "../core/model.ts";
import { type CachePlan, compilePlan } from "../core/plan.ts";
import type { WeightSizes } from "../core/weight_plan.ts";
import { type BackendOffer, offerBackend } from "../engine/backends.ts";
import { contextOf } from "../engine/context.ts";
import { pluginsFor } from "../engine/plugins.ts";
import type { LoadOptions } from "../mod.ts";
import { modelSpec } from "../models/arch/mod.ts";
import type { ModelFile } from "../models/model_file.ts";
import { quantisedSpec } from "../models/quantise_at_load.ts";

const LIMITS = { rows: 1, seqs: 1, wanted: 1, top: 1 };

/**
 * What weights, working memory and K/V would take; undefined for a backend that
 * cannot say.
 */
export async function sizesOnly(
  file: ModelFile,
  trained: ModelSpec,
  options: LoadOptions,
): Promise<WeightSizes | undefined> {
  if (options.backend === "reference") return undefined;
  const context = contextOf(trained, options);
  const spec = quantisedSpec(modelSpec(file, context), options.quantize);
  const { weights } = await offerBackend(file, spec, context, options);
  // Placements are asked for sizes only; whether they find room is another question.
  const plugins = options.plugins?.filter((p) => p.name !== "weight-offload");
  const { groups, restore } = await planOnly(file, spec, {
    ...options,
    ...(plugins === undefined ? {} : { plugins }),
  });
  return weights?.(groups, restore?.boundaries.length ?? 0);
}

/** The plan that `load()` would make of the same options. */
export async function planOnly(
  file: ModelFile,
  trained: ModelSpec,
  options: LoadOptions,
): Promise<CachePlan> {
  const context = contextOf(trained, options);
  const spec = quantisedSpec(modelSpec(file, context), options.quantize);
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
