/**
 * What of the K/V memory is held for nothing.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { CachePlan } from "./plan.ts";
import type { Sequence } from "./sequence.ts";

/** See `CacheStat.unused`. */
export function unusedBytes(
  plan: CachePlan,
  store: BlockStore,
  seqs: Iterable<Sequence>,
): number {
  let bytes = 0;
  for (const p of store.places.pools()) bytes += p.spare * p.slotBytes;
  // Several sequences may share an open block, and each see more or less of it.
  const filled = new Map<number, number>();
  for (const s of seqs) {
    for (const [g, table] of s.tables.entries()) {
      for (let b = 0; b < table.count + table.pending; b++) {
        const id = table.ids[b]!;
        if (id === 0 || store.isSealed(id)) continue;
        const { tokens } = plan.groups[g]!.shape;
        const here = Math.max(0, Math.min(tokens, s.length - b * tokens));
        filled.set(id, Math.max(here, filled.get(id) ?? 0));
      }
    }
  }
  for (const [id, tokens] of filled) {
    const g = store.group(id);
    const share = 1 - tokens / plan.groups[g]!.shape.tokens;
    bytes += share * store.places.open[g]!.slotBytes;
    // Promised to what a step seals.
    if (store.sealedAt(id) !== 0) {
      bytes += store.places.sealed[g]!.slotBytes;
    }
  }
  return Math.round(bytes);
}
