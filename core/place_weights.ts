/**
 * Asks for the placement of weights, and checks it.
 *
 * @module
 */
import type { Contributions } from "./contributions.ts";
import type { WeightPlan, WeightSizes } from "./weight_plan.ts";

/** A decision and whose it is. */
export interface PlacedWeights {
  /** Undefined where the backend keeps all weights itself. */
  readonly plan: WeightPlan | undefined;
  /** Whose it is; undefined where there is no placement. */
  readonly plugin: string | undefined;
}

/**
 * Asks the placement, where there is one. `sizes` is absent where the backend does
 * not stream. What goes wrong goes to `given`.
 */
export function planWeights(
  given: Contributions,
  sizes: (() => WeightSizes) | undefined,
): PlacedWeights {
  const one = given.one("weights", "", () => true);
  const plugin = one?.plugin;
  if (one === undefined || sizes === undefined || given.conflicts.length > 0) {
    return { plan: undefined, plugin };
  }
  const conflict = (code: "budget" | "value", message: string): void =>
    given.report({ code, slot: "weights", plugins: [one.plugin], message });
  const known = sizes();
  try {
    const plan = one.value.place(known);
    const wrong = fault(plan, known);
    if (wrong === undefined) return { plan, plugin };
    conflict("value", `plan of plugin "${one.plugin}" ${wrong}`);
  } catch (error) {
    given.cause ??= error;
    const { message, cause } = error as Error;
    // No room is the placement's answer; anything else is its failure.
    if (cause instanceof RangeError) conflict("budget", cause.message);
    else conflict("value", message);
  }
  return { plan: undefined, plugin };
}

/** What is wrong with a plan; undefined: nothing. */
function fault(
  { streamed, depth, slotBytes, rows, from, experts }: WeightPlan,
  sizes: WeightSizes,
): string | undefined {
  const { layers, steps, streaming } = sizes;
  const ascends = streamed.every((layer, i) =>
    layers[layer] !== undefined && layer > (streamed[i - 1] ?? -1)
  );
  if (!ascends) {
    return `streams layers ${
      streamed.join(", ")
    } of ${layers.length}: they have to ascend`;
  }
  const least = Math.min(1, streamed.length);
  if (!Number.isInteger(depth) || depth < least || depth > streamed.length) {
    return `has ${depth} slots for ${streamed.length} layers`;
  }
  const largest = Math.max(0, ...streamed.map((layer) => layers[layer]!));
  if (slotBytes < largest) {
    return `has slots of ${slotBytes} bytes for a layer of ${largest}`;
  }
  if (!steps.some((s) => s.rows === rows)) {
    return `has steps of ${rows} rows, ${
      steps.map((s) => s.rows).join(", ")
    } are possible`;
  }
  const wrong = experts && expertFault(experts, streamed, sizes.experts);
  if (wrong !== undefined) return wrong;
  if (!(from in streaming)) return `streams from "${from}"`;
  return undefined;
}

function expertFault(
  { slots, slotBytes }: NonNullable<WeightPlan["experts"]>,
  streamed: readonly number[],
  sizes: WeightSizes["experts"],
): string | undefined {
  if (sizes === undefined) return "brings experts one by one: there are none";
  if (streamed.length > 0) {
    return `brings experts one by one, and streams layers ${
      streamed.join(", ")
    } as a whole`;
  }
  const { items, most } = sizes;
  if (!Number.isInteger(slots) || slots < most || slots >= items) {
    return `has ${slots} slots for ${items} experts, of which a step needs up to ${most} at once`;
  }
  return slotBytes < sizes.slotBytes
    ? `has slots of ${slotBytes} bytes for an expert of ${sizes.slotBytes}`
    : undefined;
}
