/**
 * What one sequence takes at most.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { GroupPlan } from "./plan.ts";

/**
 * Bytes of blocks one sequence holds at its largest while it grows to `length`
 * in steps of up to `chunk` positions, nothing shared. `slabs`: counts whole
 * slabs, as it takes alone; in company the rest of a slab is others'.
 * `slack`: positions that are kept longer than the queries see them.
 */
export function peakBytes(
  groups: readonly GroupPlan[],
  store: BlockStore,
  length: number,
  chunk: number,
  slack: number,
  slabs: boolean,
): number {
  let bytes = 0;
  for (let g = 0; g < groups.length; g++) {
    const slots = slabs ? store.slabs[g]! : 1;
    const blocks = peakBlocks(groups[g]!, length, chunk, slack);
    bytes += Math.ceil(blocks / slots) * slots * store.pools[g]!.slotBytes;
  }
  return bytes;
}

/**
 * Bytes that `copies` sequences of `length` hold at most together, where their
 * first `shared` positions are the same and their blocks counted once. Windowed
 * groups are counted as if nothing were shared: what is computed again after a
 * preemption may find no blocks to share.
 */
export function forkedBytes(
  groups: readonly GroupPlan[],
  store: BlockStore,
  length: number,
  shared: number,
  copies: number,
): number {
  let bytes = 0;
  for (let g = 0; g < groups.length; g++) {
    const { sight, shape } = groups[g]!;
    const slots = store.slabs[g]!;
    const common = sight.full ? Math.floor(shared / shape.tokens) : 0;
    const own = peakBlocks(groups[g]!, length, 1, 0) - common;
    const blocks = common + copies * own;
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
