/**
 * How long a sequence may become.
 *
 * Distances between positions that see one another may not exceed what the model
 * was trained for. Where every layer has a window, and sinks are seen from within
 * that length, a sequence may go on beyond it.
 *
 * @module
 */
import type { LayerSpec, ModelSpec } from "../core/model.ts";
import type { GroupPlan } from "../core/plan.ts";
import { startAndSink } from "../core/sight.ts";
import type { LoadOptions } from "./options.ts";

/** Longest context by default, tokens; models trained for more ask for it. */
const DEFAULT_CONTEXT = 8192;

/**
 * The context to load with. Throws a RangeError for one that no plan could run;
 * `checkContext()` says whether the plan at hand can.
 */
export function contextOf(
  spec: Pick<ModelSpec, "context"> & {
    readonly layers: readonly Pick<LayerSpec, "window">[];
  },
  { context: wanted, plugins = [] }: Pick<LoadOptions, "context" | "plugins">,
): number {
  const { context: trained, layers } = spec;
  if (wanted === undefined) return Math.min(trained, DEFAULT_CONTEXT);
  const windows = plugins.length > 0 ||
    layers.every(({ window }) => window !== undefined);
  if (
    Number.isInteger(wanted) && wanted >= 1 && (wanted <= trained || windows)
  ) {
    return wanted;
  }
  throw new RangeError(
    `Cannot load with "context" ${wanted}: the model was trained for 1 to ${trained} tokens` +
      (wanted > trained
        ? "; go beyond with slidingWindow({ window, sinks }) among the plugins"
        : ""),
  );
}

/**
 * Throws a RangeError where some layer of a plan would see further than `trained`
 * positions in a sequence of `context`.
 */
export function checkContext(
  groups: readonly Pick<GroupPlan, "layers" | "retention" | "sight">[],
  trained: number,
  context: number,
): void {
  if (context <= trained) return;
  const far = groups.map(({ layers, retention, sight }) => {
    const layer = layers.length === 1 ? "layer" : "layers";
    const who = `${layer} ${layers.join(", ")}`;
    if (sight.full) return `${who} would see everything before`;
    for (let query = trained; query < context;) {
      const [start, sink] = startAndSink(retention, query);
      const seen = query - start + 1;
      if (seen > trained) return `${who} would see ${seen} positions at once`;
      if (sink > 0 && sight.reach > trained) {
        return `${who} would see sinks from ${
          sight.reach === Infinity ? "any distance" : `${sight.reach} positions`
        }`;
      }
      // The start never moves back, so none before this can see too much.
      query += trained - seen + 1;
    }
    return undefined;
  }).filter((why) => why !== undefined);
  if (far.length === 0) return;
  throw new RangeError(
    `Cannot load with "context" ${context}: the model was trained for ${trained} tokens, and ${
      far.join(", ")
    }; give every layer a window of at most ${trained}, and sinks a "reach" of at most as many, ` +
      "as slidingWindow({ window, sinks }) does",
  );
}
