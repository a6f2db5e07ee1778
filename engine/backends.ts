/**
 * Backends as a load meets them: first what plans look at, then, with the plan, the
 * backend itself.
 *
 * @module
 */
import type { Adapter } from "../core/adapters.ts";
import type { Backend } from "../core/backend.ts";
import type { ModelSpec } from "../core/model.ts";
import type { GroupPlan, PlanBackend } from "../core/plan.ts";
import type { WeightPlan, WeightSizes } from "../core/weight_plan.ts";
import type { ModelFile } from "../models/model_file.ts";
import { kvBytes } from "./kv_bytes.ts";
import { defaultThreads } from "./load_options.ts";
import { type LoadOptions, parseBytes } from "./options.ts";

/** Most bytes of rank-0 memory: what 32-bit addresses reach. */
const MOST_BYTES = 2 ** 32 - 65536;

/** Most rows of a step where nothing is said; the first where nothing is streamed. */
const CHUNKS = [256, 512, 1024];

/** A backend that is not made yet. */
export interface BackendOffer {
  /** What plans look at. */
  readonly formats: PlanBackend;
  /**
   * What weights take beside these groups, and hidden states before so many layers;
   * absent where none can be streamed.
   */
  readonly weights?: (
    groups: readonly GroupPlan[],
    boundaries: number,
  ) => WeightSizes;
  /**
   * Makes it, weights and all. `whileLoading` runs while workers read them, or not
   * at all.
   */
  create(
    weights: WeightPlan | undefined,
    whileLoading: () => void,
  ): Promise<Backend>;
}

/** Blocks of a sequence in a table, one to spare. */
export function tableStride(
  groups: readonly GroupPlan[],
  context: number,
): number {
  const blockTokens = Math.min(...groups.map((g) => g.shape.tokens));
  return Math.ceil(context / blockTokens) + 1;
}

/** The backend that `options` ask for. Its weights are not looked at yet. */
export async function offerBackend(
  file: ModelFile,
  spec: ModelSpec,
  context: number,
  options: LoadOptions,
  adapters: readonly Adapter[] = [],
): Promise<BackendOffer> {
  const { signal, onProgress, chunk, parallel = 32 } = options;
  const bytes = options.budget === undefined
    ? MOST_BYTES
    : Math.min(MOST_BYTES, parseBytes(options.budget));
  const chunks = chunk === undefined ? CHUNKS : [chunk];
  const rows = chunks[0]!;
  const limits = {
    rows,
    seqs: Math.min(rows, parallel),
    wanted: Math.min(rows, Math.max(64, parallel)),
  };
  if (options.backend === "reference") {
    const [{ createReference }, { readTensor }] = await Promise.all([
      import("../core/reference/backend.ts"),
      import("../models/weights.ts"),
    ]);
    const backend = createReference({
      spec,
      read: (name) => readTensor(file, name, spec.tensors),
      limits: { ...limits, bytes, top: 128 },
      adapters,
    });
    return { formats: backend, create: () => Promise.resolve(backend) };
  }
  const [
    { createWasm },
    { wasmFormats },
    { wasmLimits },
    { weightNotes },
    { weightSizes },
  ] = await Promise.all([
    import("../wasm/backend.ts"),
    import("../wasm/formats.ts"),
    import("../wasm/limits.ts"),
    import("../wasm/weight_notes.ts"),
    import("../wasm/weight_sizes.ts"),
  ]);
  const exact = options.precision === "exact";
  const threads = options.threads ?? defaultThreads();
  const wasm = { spec, threads, context, bytes, exact, adapters, ...limits };
  const what = file.path.slice(file.path.lastIndexOf("/") + 1);
  return {
    formats: {
      ...wasmFormats(exact, wasmLimits(wasm)),
      weightNotes: weightNotes(spec, exact),
    },
    weights: (groups, boundaries) => {
      const stride = tableStride(groups, context);
      const sized = { ...wasm, groups, tableStride: stride, boundaries };
      const sizes = weightSizes(sized, chunks);
      return { ...sizes, ...kvBytes(groups, sizes.budget, context, rows) };
    },
    create: (weights, onStarted) =>
      createWasm({
        ...wasm,
        rows: weights?.rows ?? rows,
        weights,
        paths: file.files.map((f) => f.path),
        build: options.build,
        onStarted,
        onProgress: (done, total) =>
          onProgress?.({ stage: "load", what, done, total }),
        signal,
      }),
  };
}
