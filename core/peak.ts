/**
 * What one sequence takes at most.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { GroupPlan } from "./plan.ts";

/**
 * Bytes of blocks one sequence holds at its largest while it grows to `length`
 * in steps of up to `chunk` positions, nothing shared, whole slabs counted.
 * `slack`: positions that are kept longer than the queries see them.
 */
export function peakBytes(
  groups: readonly GroupPlan[],
  store: BlockStore,
  length: number,
  chunk: number,
  slack: number,
): number {
  let bytes = 0;
  for (let g = 0; g < groups.length; g++) {
    const slots = store.slabs[g]!;
    const blocks = peakBlocks(groups[g]!, length, chunk, slack);
    bytes += Math.ceil(blocks / slots) * slots * store.pools[g]!.slotBytes;
  }
  return bytes;
}

function peakBlocks(
  group: GroupPlan,
  length: number,
  chunk: number,
  slack: number,
): number {
  const { sight, shape } = group;
  if (sight.full) return Math.ceil(length / shape.tokens);
  let peak = 0;
  for (let at = 0; at < length; at++) {
    const end = Math.ceil(Math.min(at + chunk, length) / shape.tokens);
    const query = Math.max(0, at - slack);
    const from = Math.floor(sight.start(query) / shape.tokens);
    const kept = Math.ceil(sight.sink(query) / shape.tokens);
    peak = Math.max(peak, end - Math.max(0, from - kept));
  }
  return peak;
}
