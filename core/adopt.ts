/**
 * Begins a sequence with what was found of its prompt.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { CachePlan, GroupPlan } from "./plan.ts";
import type { PrefixHit, PrefixPlaces } from "./prefix.ts";
import type { Sequence } from "./sequence.ts";
import type { BlockContent } from "./slots.ts";
import type { BlockId } from "./types.ts";

/**
 * Gives an empty sequence the blocks of a hit up to `length`. Blocks that tiers have
 * get places, to which their bytes are still to come; where there is no room for all
 * of them it begins with less. Returns how many positions it begins with.
 */
export function adopt(
  s: Sequence,
  hit: PrefixHit,
  length: number,
  prompt: ArrayLike<number>,
  places: PrefixPlaces,
): number {
  const { groups, store } = places;
  // First what is here: making room for the rest would evict it.
  const kept: number[] = [];
  for (const [g, group] of groups.entries()) {
    for (let b = 0; b < length / group.shape.tokens; b++) {
      const id = hit.blocks[g]![b]!;
      if (id <= 0) continue;
      store.retain(id);
      kept.push(id);
    }
  }
  let most = length;
  while (!take(s, hit, most, prompt, places)) {
    for (const table of s.tables) table.cut(0);
    const full = groups.every((g) => g.sight.full);
    most = full && most - hit.step > hit.here ? most - hit.step : hit.here;
  }
  for (const id of kept) store.release(id);
  return most;
}

/** False where blocks to come have no room, or would leave none for the next step. */
function take(
  s: Sequence,
  hit: PrefixHit,
  length: number,
  prompt: ArrayLike<number>,
  { groups, chains, store }: PrefixPlaces,
): boolean {
  for (const [g, table] of s.tables.entries()) {
    const group = groups[g]!, { tokens } = group.shape;
    const count = length / tokens, digests = hit.digests[g]!;
    for (let b = 0; b < count; b++) {
      let id = hit.blocks[g]![b]!;
      if (id > 0) store.retain(id);
      else if (id < 0 && isSeen(group, b, length)) {
        const key = chains[g]!.key(digests[b]!);
        const content: BlockContent = {
          parent: b > 0 ? chains[g]!.key(digests[b - 1]!) : "",
          tokens: prompt,
          from: b * tokens,
          to: (b + 1) * tokens,
          group: g,
          chained: group.sight.full,
          priority: s.priority,
          salt: s.salt,
        };
        const about = store.contents.about(s.salt, length);
        id = store.expect(g, b, -1 - id, key, about, content);
        if (id === 0) {
          table.count = table.pending;
          table.pending = 0;
          return false;
        }
        s.awaits = true;
      } else id = 0;
      if (id > 0 && store.isAway(id)) s.awaits = true;
      table.push(id);
    }
    table.count = table.pending;
    table.pending = 0;
    table.hashed = count;
    if (count > 0) table.digest.set(digests[count - 1]!);
    table.slide(length);
  }
  return length <= hit.here || store.available >= stepBytes(store, groups);
}

/** Bytes of the next block of every group: without, nothing could be computed. */
function stepBytes(
  { places }: BlockStore,
  groups: readonly GroupPlan[],
): number {
  let bytes = 0;
  for (let g = 0; g < groups.length; g++) {
    bytes += places.open[g]!.slotBytes * places.slabs[g]! +
      (places.sealed[g]?.slotBytes ?? 0);
  }
  return bytes;
}

/** Whether a query at `length` sees something of a block. */
function isSeen(
  { sight, shape: { tokens } }: GroupPlan,
  b: number,
  length: number,
): boolean {
  const from = Math.floor(sight.start(length) / tokens);
  const kept = Math.ceil(sight.sink(length) / tokens);
  const first = Math.floor(sight.first(length) / tokens);
  return b >= from || (b >= first && b < kept);
}

/** Tells an index that looks at it what the sequence's blocks are worth now. */
export function noteUse(s: Sequence, { index }: CachePlan): void {
  if (index?.use === undefined) return;
  for (const table of s.tables) {
    for (let b = 0; b < table.count; b++) {
      if (table.ids[b] !== 0) index.use(table.ids[b] as BlockId, s.priority);
    }
  }
}

/** Seconds to bring what tiers have of a hit, by what their copies took of late. */
export function loadSeconds(
  hit: PrefixHit,
  { groups, store }: PrefixPlaces,
): number {
  let seconds = 0;
  for (const [g, group] of groups.entries()) {
    for (const id of hit.blocks[g]!) {
      if (id < 0) {
        seconds += group.sealedBytes * store.tiers.secondsPerByte(-1 - id);
      }
    }
  }
  return seconds;
}
