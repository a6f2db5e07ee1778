/**
 * Takes the blocks of a step, all or none.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { BlockTable } from "./block_table.ts";
import type { Shortfall } from "./cache_types.ts";
import type { GroupPlan } from "./plan.ts";
import type { Sequence } from "./sequence.ts";

/**
 * Gives every sequence blocks for its `pending` positions behind `length`, and
 * those that they fill a place to be sealed to, where the group has such. A tail block that others use too is copied first, one that is sealed (after
 * a trim) is opened again. On a shortfall everything is as it was, but for
 * idle blocks that were evicted.
 */
export function reserveBlocks(
  seqs: readonly Sequence[],
  count: number,
  groups: readonly GroupPlan[],
  store: BlockStore,
): Shortfall | undefined {
  const short = compare(seqs, count, groups, store);
  if (short !== undefined) return short;
  for (let i = 0; i < count; i++) {
    const s = seqs[i]!;
    for (let g = 0; g < groups.length; g++) {
      if (extend(s, s.tables[g]!, g, groups[g]!, store)) continue;
      // None are missing where a copy found no room.
      const missing = Math.max(1, missingBlocks(s, s.tables[g]!, groups[g]!));
      const { slotBytes } = store.places.open[g]!;
      for (let k = i; k >= 0; k--) undo(seqs[k]!, groups, store);
      return { ok: false, blocks: missing, bytes: missing * slotBytes };
    }
  }
  for (let i = 0; i < count; i++) {
    for (const t of seqs[i]!.tables) t.replaced = 0;
  }
  return undefined;
}

/** Whether there are bytes enough, were they all in the right place. */
function compare(
  seqs: readonly Sequence[],
  count: number,
  groups: readonly GroupPlan[],
  store: BlockStore,
): Shortfall | undefined {
  let bytes = -store.available;
  let largest = 1;
  for (let g = 0; g < groups.length; g++) {
    let blocks = 0, sealed = 0;
    for (let i = 0; i < count; i++) {
      const s = seqs[i]!, group = groups[g]!;
      blocks += missingBlocks(s, s.tables[g]!, group);
      sealed += Math.max(0, sealEnd(s, group) - sealStart(s, group));
    }
    const { slotBytes } = store.places.open[g]!;
    const sealedBytes = store.places.sealed[g]?.slotBytes ?? 0;
    bytes += blocks * slotBytes + sealed * sealedBytes;
    if (blocks > 0) largest = Math.max(largest, slotBytes);
    else if (sealed > 0) largest = Math.max(largest, sealedBytes);
  }
  if (bytes <= 0) return undefined;
  return { ok: false, blocks: Math.ceil(bytes / largest), bytes };
}

function missingBlocks(
  s: Sequence,
  table: BlockTable,
  group: GroupPlan,
): number {
  const end = Math.ceil((s.length + s.pending) / group.shape.tokens);
  return Math.max(0, end - table.count - table.pending);
}

/** The first block of those that the pending positions fill and the step seals. */
function sealStart(s: Sequence, { shape, keepFirst }: GroupPlan): number {
  return Math.max(keepFirst, Math.floor(s.length / shape.tokens));
}

/** The block behind them. */
function sealEnd(s: Sequence, { shape, fused }: GroupPlan): number {
  if (fused === undefined) return 0;
  return Math.floor((s.length + s.pending) / shape.tokens);
}

/** False when there is no block left; `undo()` takes back what was done. */
function extend(
  s: Sequence,
  table: BlockTable,
  g: number,
  group: GroupPlan,
  store: BlockStore,
): boolean {
  if (s.length % group.shape.tokens !== 0) {
    const tail = table.ids[table.count - 1]!;
    if (store.refs(tail) > 1) {
      const copy = store.copy(tail);
      if (copy === 0) return false;
      table.ids[table.count - 1] = copy;
      table.replaced = tail;
      store.release(tail); // others use it: it stays
    } else store.unseal(tail);
  }
  for (let n = missingBlocks(s, table, group); n > 0; n--) {
    const id = store.take(g);
    if (id === 0) return false;
    table.push(id);
  }
  for (let b = sealStart(s, group); b < sealEnd(s, group); b++) {
    if (!store.promise(table.ids[b]!)) return false;
  }
  return true;
}

function undo(
  s: Sequence,
  groups: readonly GroupPlan[],
  store: BlockStore,
): void {
  for (let g = 0; g < groups.length; g++) {
    const table = s.tables[g]!;
    table.drop();
    if (table.replaced === 0) continue;
    store.retain(table.replaced);
    store.release(table.ids[table.count - 1]!);
    table.ids[table.count - 1] = table.replaced;
    table.replaced = 0;
  }
}
