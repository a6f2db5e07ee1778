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
  const { groups, chains, store } = places;
  // First what is here, and what is at hand: making room for the rest would push it out.
  const kept: number[] = [];
  const held = new Map<string, Uint8Array>();
  for (const [g, group] of groups.entries()) {
    for (let b = 0; b < length / group.shape.tokens; b++) {
      const id = hit.blocks[g]![b]!;
      if (id > 0) {
        store.retain(id);
        kept.push(id);
      } else if (id < 0) {
        const key = chains[g]!.key(hit.digests[g]![b]!);
        const bytes = store.contents.view(-1 - id, key);
        if (bytes !== undefined) held.set(key, bytes);
      }
    }
  }
  const takes = (most: number): boolean => {
    for (const table of s.tables) table.cut(0);
    return take(s, hit, most, prompt, held, places);
  };
  let most = length;
  if (!takes(length)) {
    // The most that fits; less would do for windows only if other blocks were there.
    let low = hit.here / hit.step;
    let high = groups.every((g) => g.sight.full) ? length / hit.step : low + 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if (takes(middle * hit.step)) low = middle;
      else high = middle;
    }
    takes(most = low * hit.step);
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
  held: ReadonlyMap<string, Uint8Array>,
  { groups, chains, store }: PrefixPlaces,
): boolean {
  s.awaits = false;
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
        id = store.expect(g, b, -1 - id, key, about, content, held.get(key));
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
export function isSeen(
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
  eachTier(hit, groups, (tier, bytes) => {
    seconds += bytes * store.tiers.secondsPerByte(tier);
  });
  return seconds;
}

/** They were too slow for a hit: what they are taken for falls, so they are tried again. */
export function forgive(hit: PrefixHit, { groups, store }: PrefixPlaces): void {
  const slow = new Set<number>();
  eachTier(hit, groups, (tier) => slow.add(tier));
  for (const tier of slow) store.tiers.forgive(tier);
}

function eachTier(
  hit: PrefixHit,
  groups: readonly GroupPlan[],
  visit: (tier: number, bytes: number) => void,
): void {
  for (const [g, group] of groups.entries()) {
    for (const id of hit.blocks[g]!) {
      if (id < 0) visit(-1 - id, group.sealedBytes);
    }
  }
}
