/**
 * The cache plan of a model whose weights are not loaded.
 *
 * @module
 */
import { createReference, referenceBytes } from "../core/reference/backend.ts";
import { modelShape, type ModelSpec } from "../core/model.ts";
import { type CachePlan, compilePlan, type PlanBackend } from "../core/plan.ts";
import { pluginsFor } from "../engine/plugins.ts";
import type { LoadOptions } from "../mod.ts";
import { wasmFormats } from "../wasm/formats.ts";

const LIMITS = { rows: 1, seqs: 1, wanted: 1, top: 1 };

/** The plan that `load()` would make of the same options. */
export async function planOnly(
  spec: ModelSpec,
  options: LoadOptions,
): Promise<CachePlan> {
  const { plan, close } = await compilePlan({
    model: modelShape(spec),
    backend: planBackend(spec, options),
    plugins: pluginsFor(spec, options.plugins),
  });
  await close();
  return plan;
}

/** A backend that can be asked what it reads and how large blocks are, no more. */
function planBackend(spec: ModelSpec, options: LoadOptions): PlanBackend {
  if (options.backend === "reference") {
    const bytes = referenceBytes(spec, LIMITS, 0, 0);
    const read = (): never => {
      throw new TypeError("Cannot read weights: only the plan is wanted");
    };
    return createReference({ spec, read, limits: { ...LIMITS, bytes } });
  }
  return wasmFormats(options.precision === "exact");
}
