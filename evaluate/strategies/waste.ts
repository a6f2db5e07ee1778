/**
 * `waste`: how much of the KV memory held has no token in it, for paging and
 * for one preallocated block a sequence as in systems before it.
 *
 * @module
 */
import { join } from "node:path";
import { contiguous } from "../../plugins/contiguous.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { prefixCache } from "../../plugins/prefix_cache.ts";
import type { Plugin } from "../../core/plugin.ts";
import type { StrategyOptions } from "./options.ts";
import { mean } from "./percentiles.ts";
import type { Report } from "./report.ts";
import {
  type Arrival,
  positions,
  readTrace,
  scaled,
  type TraceName,
  TRACES,
} from "./traces.ts";
import { replayWaste, SMOLLM2_SHAPE } from "./waste_run.ts";
import {
  CACHED,
  named,
  NOTES,
  type Row,
  verdict,
  wasteTables,
} from "./waste_tables.ts";

/** Positions in a block. */
const PAGES = [8, 16, 32, 64, 128];

/** Blocks in a slab, beside the backend's own choice. */
const SLABS = [1, 2, 4];

/** Longest sequence that is replayed: the most that one block can hold. */
const LONGEST = 65536;

/** Bytes of one position of SmolLM2 in f16. */
const POSITION_BYTES = SMOLLM2_SHAPE.layers.reduce(
  (sum, { kvHeads, headDim }) => sum + kvHeads * headDim * 2 * 2,
  0,
);

/** Runs the benchmark; needs no model. */
export async function wasteReport(
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const rows: Row[] = [], notes: string[] = [];
  for (const trace of Object.keys(TRACES) as TraceName[]) {
    const all = (await readTrace(join(options.data, "traces"), trace))
      .slice(0, options.requests ?? 2000);
    for (const scale of [1, 1 / 8]) {
      const fits = scaled(all, scale).filter((a) => positions(a) <= LONGEST);
      const left = all.length - fits.length;
      if (left > 0) {
        notes.push(
          `${
            named(trace, scale)
          }: ${left} of ${all.length} requests have more than ${LONGEST} positions and are left out.`,
        );
      }
      for (const chunk of options.chunks ?? [256, 4096]) {
        const about = `${named(trace, scale)}, steps of ${chunk}`;
        for (const row of await replays(fits, chunk, options, about, tell)) {
          rows.push({ trace, scale, chunk, ...row });
        }
      }
    }
  }
  return {
    tables: wasteTables(rows),
    notes: [verdict(rows), ...notes, ...NOTES],
    figures: { rows },
  };
}

async function replays(
  trace: readonly Arrival[],
  chunk: number,
  options: StrategyOptions,
  about: string,
  tell: (line: string) => void,
): Promise<Omit<Row, "trace" | "scale" | "chunk">[]> {
  const longest = Math.max(...trace.map(positions));
  const tokens = (options.held ?? 32) * mean(trace.map(positions));
  const budgetBytes = Math.ceil(Math.max(tokens, longest + 64)) *
    POSITION_BYTES;
  const out: Omit<Row, "trace" | "scale" | "chunk">[] = [];
  for (const [layout, plugins, slabBlocks] of layouts(longest, tokens)) {
    tell(`${about}: ${layout}`);
    const waste = await replayWaste({
      trace,
      budgetBytes,
      plugins,
      slabBlocks,
      chunk,
      stepMs: options.stepMs,
      rowMs: options.rowMs,
      load: options.load,
    });
    out.push({ layout, budgetBytes, requests: trace.length, waste });
  }
  return out;
}

/** A name, the plugins, and blocks in a slab where it is not the backend's choice. */
type Layout = readonly [string, readonly Plugin[], number?];

/** Pages, then contiguous blocks of the trace's longest and of the usual context. */
function layouts(longest: number, tokens: number): Layout[] {
  const page = (blockTokens: number): Plugin => pagedAttention({ blockTokens });
  const whole = Math.ceil(longest / 8) * 8;
  const contexts = new Set([whole, SMOLLM2_SHAPE.context!]);
  return [
    ...PAGES.map((n): Layout => [`pages of ${n}`, [page(n)]]),
    ...SLABS.map((n): Layout => [`pages of 16, slabs of ${n}`, [page(16)], n]),
    [CACHED, [page(16), prefixCache()]],
    ...[...contexts].filter((n) => n >= longest && n <= tokens)
      .map((n): Layout => [`contiguous ${n}`, [contiguous({ tokens: n })]]),
  ];
}
