/**
 * Writes a reservation into the arrays a backend reads.
 *
 * @module
 */
import { fillAdapters } from "./adapters.ts";
import type { StepBatch } from "./backend.ts";
import type { BlockStore } from "./block_store.ts";
import type { StepPart } from "./cache_types.ts";
import type { CachePlan } from "./plan.ts";
import type { Sequence } from "./sequence.ts";
import type { Spill } from "./spill.ts";

/**
 * Rows of `seqs[0 .. count)` one after the other, of these the ones of a part; see
 * StepBatch.
 */
export function fillBatch(
  seqs: readonly Sequence[],
  count: number,
  { from, to }: StepPart,
  plan: CachePlan,
  store: BlockStore,
  spill: Spill,
  batch: StepBatch,
): void {
  spill.fill(seqs, count, batch.stream);
  const { tokens, positions, tableStride } = batch;
  const { groups } = plan, rows = to - from;
  if (rows > tokens.length || batch.tables.length !== groups.length) {
    throw new RangeError(
      `Cannot fill a batch with ${rows} rows in ${groups.length} groups: it has room for ${tokens.length} rows in ${batch.tables.length} groups`,
    );
  }
  if (batch.adapters !== undefined) batch.adapters.active = false;
  let row = 0;
  let seals = 0;
  let at = 0;
  for (let i = 0; i < count; at += seqs[i++]!.pending) {
    const s = seqs[i]!;
    const start = s.length + Math.max(0, from - at);
    const end = s.length + Math.min(s.pending, to - at);
    if (start >= end) continue;
    fillAdapters(i, s.adapters, batch.adapters);
    const first = row;
    for (let p = start; p < end; p++, row++) {
      tokens[row] = s.tokens[p]!;
      positions[row] = p;
      batch.seqs[row] = i;
    }
    for (let g = 0; g < groups.length; g++) {
      const table = s.tables[g]!;
      const offsets = batch.tables[g]!;
      const blocks = table.count + table.pending;
      const base = i * tableStride;
      if (blocks > tableStride || base + blocks > offsets.length) {
        throw new RangeError(
          `Cannot fill a batch with ${blocks} blocks of sequence ${i}: a table has room for ${tableStride} blocks of ${
            Math.floor(offsets.length / tableStride)
          } sequences`,
        );
      }
      for (let b = 0; b < blocks; b++) {
        offsets[base + b] = store.offset(table.ids[b]!);
      }
      const { sight, fused, shape } = groups[g]!;
      if (fused !== undefined) {
        const places = batch.sealed[g]!;
        for (let b = 0; b < blocks; b++) {
          places[base + b] = store.sealedAt(table.ids[b]!);
        }
        const full = Math.floor(end / shape.tokens);
        for (let b = Math.floor(start / shape.tokens); b < full; b++) {
          if (places[base + b] !== 0) seals++;
        }
      }
      if (s.spilled && spill.reads(g)) {
        const to = fused === undefined ? offsets : batch.sealed[g]!;
        for (let b = 0; b < blocks; b++) {
          if (!store.isSpilled(table.ids[b]!)) continue;
          to[base + b] = spill.entry(g, b);
        }
      }
      const starts = batch.starts[g]!;
      const sinks = batch.sinks[g]!;
      const firsts = batch.firsts[g]!;
      const backs = batch.backs[g]!;
      for (let r = first; r < row; r++) {
        starts[r] = sight.start(positions[r]!);
        sinks[r] = sight.sink(positions[r]!);
        firsts[r] = sight.first(positions[r]!);
        backs[r] = sight.back(positions[r]!);
      }
    }
  }
  batch.rows = rows;
  batch.seals = seals;
}
