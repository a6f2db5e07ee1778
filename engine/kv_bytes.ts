/**
 * What K and V take at least, and for one sequence of the whole context, before there
 * is any memory for them.
 *
 * @module
 */
import type { DeviceMemory } from "../core/backend.ts";
import { BlockPlaces } from "../core/block_places.ts";
import { heap } from "../core/heap.ts";
import { peakBytes } from "../core/peak.ts";
import type { GroupPlan } from "../core/plan.ts";
import type { WeightSizes } from "../core/weight_plan.ts";

/** Bytes of blocks in a memory of `budget` bytes, for steps of up to `rows` rows. */
export function kvBytes(
  groups: readonly GroupPlan[],
  budget: number,
  context: number,
  rows: number,
): Pick<WeightSizes, "leastKv" | "contextKv"> {
  const places = new BlockPlaces(
    groups,
    books(budget),
    budget,
    groups.map((g) => g.blockBytes),
  );
  const peak = (length: number, chunk: number): number =>
    peakBytes(groups, places, length, chunk, 0, true);
  return {
    leastKv: peak(1, 1),
    contextKv: Math.max(peak(1, 1), peak(context, rows)),
  };
}

/** A memory that has no bytes. */
function books(budget: number): DeviceMemory {
  const none = (): never => {
    throw new TypeError("Cannot reach bytes: there is no memory yet");
  };
  const own = heap(Math.max(budget, 64), 64);
  return {
    align: 64,
    maxSpan: budget,
    alloc: (bytes) => own.alloc(bytes),
    free: (span) => own.free(span),
    stat: () => own.stat(),
    check: () => own.check(),
    write: none,
    read: none,
    copy: none,
  };
}
