/**
 * Replays for waste as tables and sentences.
 *
 * @module
 */
import { mebibytes, number, percent, type Table } from "./report.ts";
import type { TraceName } from "./traces.ts";
import type { Waste } from "./waste_run.ts";

/** The default of `load()`. */
export const CACHED = "pages of 16, prefix cache";

/** One replay. */
export interface Row {
  readonly trace: TraceName;
  readonly scale: number;
  readonly chunk: number;
  readonly layout: string;
  readonly budgetBytes: number;
  readonly requests: number;
  readonly waste: Waste;
}

/** A table for each trace, scale and size of steps. */
export function wasteTables(rows: readonly Row[]): Table[] {
  const by = Map.groupBy(
    rows,
    (r) => `${r.trace} ${r.scale} ${r.chunk}`,
  );
  return [...by.values()].map((group) => {
    const { trace, scale, chunk, budgetBytes, requests } = group[0]!;
    return {
      title: `${
        named(trace, scale)
      }: ${requests} requests, steps of up to ${chunk} rows, budget ${
        mebibytes(budgetBytes)
      } MiB`,
      head: [
        "layout",
        "no token in it",
        "ends of blocks",
        "slabs",
        "mean of looks",
        "p95 of looks",
        "outside, MiB",
        "between spans, MiB",
        "blocks in a slab",
        "running",
        "held, MiB",
        "gave way",
      ],
      rows: group.map(({ layout, waste: w }) => [
        layout,
        percent(w.ofBytes),
        percent(w.tails),
        percent(w.slabs),
        percent(w.mean),
        percent(w.p95),
        mebibytes(w.outside),
        mebibytes(w.between),
        String(w.slabBlocks),
        number(w.running),
        mebibytes(w.heldBytes),
        String(w.preempted),
      ]),
    };
  });
}

/** The trace and what its lengths are multiplied by. */
export function named(trace: TraceName, scale: number): string {
  return scale === 1 ? trace : `${trace}, lengths × ${scale}`;
}

/** What the columns are. */
export const NOTES: readonly string[] = [
  '"no token in it": `cache.stat().unused` over the bytes held, both summed over about 1,000 looks; then its two parts, ends of blocks and free slots of slabs (several blocks taken from the heap at once). Mean and p95 are of the shares of single looks. Prompts are all different; without the prefix cache nothing is kept.',
  '"outside": the most bytes of the budget that were free and yet too few in a row for one slab more; "between spans": the part of it that another arrangement could have used, which is external fragmentation.',
];

/** Least and largest share of the layouts that `is` finds. */
function spread(rows: readonly Row[], is: (layout: string) => boolean): string {
  const shares = rows.filter(({ layout }) => is(layout))
    .map(({ waste }) => waste.ofBytes);
  if (shares.length === 0) return "not run";
  return `${percent(Math.min(...shares))} to ${percent(Math.max(...shares))}`;
}

/** The shares of all replays, in a sentence. */
export function verdict(rows: readonly Row[]): string {
  const exactly = (name: string) => (layout: string) => layout === name;
  return `No token is in ${
    spread(rows, exactly(CACHED))
  } of the bytes held by pages of 16 with the prefix cache, ${
    spread(rows, exactly("pages of 16"))
  } without it (${
    spread(rows, exactly("pages of 16, slabs of 1"))
  } where blocks are taken one by one), ${
    spread(rows, (layout) => layout.startsWith("contiguous"))
  } by contiguous blocks.`;
}
