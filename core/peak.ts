/**
 * What one sequence takes at most.
 *
 * @module
 */
import type { BlockPlaces } from "./block_places.ts";
import type { GroupPlan } from "./plan.ts";

/** Sizes of places, by group. */
type Sizes = Pick<BlockPlaces, "open" | "sealed" | "slabs">;

/**
 * Bytes of blocks one sequence holds at its largest while it grows to `length`
 * in steps of up to `chunk` positions, nothing shared. `slabs`: counts whole
 * slabs, as it takes alone; in company the rest of a slab is others'.
 * `slack`: positions that are kept longer than the queries see them.
 */
export function peakBytes(
  groups: readonly GroupPlan[],
  places: Sizes,
  length: number,
  chunk: number,
  slack: number,
  slabs: boolean,
): number {
  let bytes = 0;
  for (let g = 0; g < groups.length; g++) {
    const group = groups[g]!, { slotBytes } = places.open[g]!;
    const sealed = places.sealed[g]?.slotBytes;
    if (sealed !== undefined) {
      bytes += sealedPeak(group, slotBytes, sealed, length, chunk, slack);
      continue;
    }
    const slots = slabs ? places.slabs[g]! : 1;
    const blocks = peakBlocks(group, length, chunk, slack);
    bytes += Math.ceil(blocks / slots) * slots * slotBytes;
  }
  return bytes;
}

/** Blocks that a sequence keeps on the device whose others spill. */
const SPILLED_BLOCKS = 2;

/**
 * Bytes of blocks that one sequence of `length` needs on the device, one row a step,
 * where of the groups that `spills` says its older blocks may be elsewhere.
 */
export function spilledBytes(
  groups: readonly GroupPlan[],
  places: Sizes,
  length: number,
  slack: number,
  spills: (group: number) => boolean,
): number {
  let bytes = 0;
  for (const [g, group] of groups.entries()) {
    const blocks = SPILLED_BLOCKS + group.keepFirst;
    const most = spills(g)
      ? Math.min(length, blocks * group.shape.tokens)
      : length;
    const own: Sizes = {
      open: [places.open[g]!],
      sealed: [places.sealed[g]],
      slabs: [places.slabs[g]!],
    };
    bytes += peakBytes([group], own, most, 1, slack, true);
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
  places: Sizes,
  length: number,
  shared: number,
  copies: number,
): number {
  let bytes = 0;
  for (let g = 0; g < groups.length; g++) {
    const group = groups[g]!, { shape, sight, keepFirst } = group;
    const { slotBytes } = places.open[g]!;
    const sealed = places.sealed[g]?.slotBytes;
    const common = sight.full ? Math.floor(shared / shape.tokens) : 0;
    if (sealed !== undefined) {
      const kept = Math.min(common, keepFirst);
      const once = kept * slotBytes + (common - kept) * sealed;
      const one = sealedPeak(group, slotBytes, sealed, length, 1, 0);
      bytes += once + copies * (one - once);
      continue;
    }
    const slots = places.slabs[g]!;
    const own = peakBlocks(group, length, 1, 0) - common;
    const blocks = common + copies * own;
    bytes += Math.ceil(blocks / slots) * slots * slotBytes;
  }
  return bytes;
}

/** Bytes of the next block of a sequence of `length` that may grow to `most`. */
export function growthBytes(
  groups: readonly GroupPlan[],
  places: Sizes,
  length: number,
  most: number,
): number {
  let bytes = 0;
  for (let g = 0; g < groups.length; g++) {
    const { shape: { tokens }, keepFirst } = groups[g]!;
    const { slotBytes } = places.open[g]!;
    const sealed = places.sealed[g]?.slotBytes;
    const block = Math.floor(length / tokens), within = length % tokens !== 0;
    if (sealed === undefined || block < keepFirst) {
      if (Math.ceil(most / tokens) > Math.ceil(length / tokens)) {
        bytes += slotBytes;
      }
      continue;
    }
    // The open place of a block that is sealed is the next one's.
    if (!within && most > length) bytes += slotBytes;
    if (Math.floor(most / tokens) > block) bytes += sealed;
  }
  return bytes;
}

/** Blocks of a group that seals nothing. */
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

/**
 * Bytes of a group whose full blocks are sealed. A step has open every block that it
 * writes to, and a sealed place for every one that it fills.
 */
function sealedPeak(
  { sight, shape: { tokens }, keepFirst }: GroupPlan,
  open: number,
  sealed: number,
  length: number,
  chunk: number,
  slack: number,
): number {
  if (sight.full) {
    const blocks = Math.ceil(length / tokens);
    // A step may begin anywhere in a block.
    const written = chunk === 1 ? 1 : Math.floor((chunk - 2) / tokens) + 2;
    const full = Math.max(0, Math.floor(length / tokens) - keepFirst);
    return Math.min(blocks, keepFirst + written) * open + full * sealed;
  }
  let peak = 0;
  for (let at = 0; at < length; at++) {
    const end = Math.min(at + chunk, length);
    const query = Math.max(0, at - slack);
    const from = Math.floor(sight.start(query) / tokens);
    const kept = Math.min(from, Math.ceil(sight.sink(query) / tokens));
    // Of the blocks before the step [0, kept) and [from, own) are there.
    const own = Math.floor(at / tokens);
    const before = Math.min(kept, own) + Math.max(0, own - from);
    const raw = Math.min(kept, own, keepFirst) +
      Math.max(0, Math.min(own, keepFirst) - from);
    const filled = Math.max(
      0,
      Math.floor(end / tokens) - Math.max(own, keepFirst),
    );
    const written = Math.ceil(end / tokens) - own;
    peak = Math.max(
      peak,
      (raw + written) * open + (before - raw + filled) * sealed,
    );
  }
  return peak;
}
