/**
 * A trace through the real scheduler and the real KV cache, with nothing
 * computed: each step gives every request a token. No two prompts are alike.
 *
 * ```text
 *  trace ─▶ waits outside ─▶ scheduler ─▶ step ─▶ done ─▶ …
 *                                          └ the clock goes on by what it costs
 * ```
 *
 * @module
 */
import { createCache } from "../../core/cache.ts";
import { compilePlan } from "../../core/plan.ts";
import type { Plugin } from "../../core/plugin.ts";
import { createScheduler, type Scheduler } from "../../core/scheduler.ts";
import type { ModelShape } from "../../core/types.ts";
import { wasmFormats } from "../../wasm/formats.ts";
import { PaperMemory } from "./paper_memory.ts";
import { type Arrival, positions } from "./traces.ts";
import { Looks, type Waste } from "./waste_looks.ts";

export type { Waste } from "./waste_looks.ts";

/** SmolLM2 135M as the cache sees it: 23,040 bytes a position in f16. */
export const SMOLLM2_SHAPE: ModelShape = {
  id: "smollm2",
  context: 8192,
  layers: Array.from(
    { length: 30 },
    (_, layer) => ({ layer, qHeads: 9, kvHeads: 3, headDim: 64 }),
  ),
};

/** The machine that is pretended. */
export interface Pretended {
  /** Most rows of a step. */
  readonly chunk: number;
  /** Milliseconds of a step, and of each row besides. */
  readonly stepMs: number;
  readonly rowMs: number;
  /**
   * Arrivals are moved closer or apart until prompts and tokens offered are this
   * share of what full steps can do.
   */
  readonly load: number;
}

/** What a replay wants. */
export interface WasteOptions extends Pretended {
  readonly trace: readonly Arrival[];
  readonly budgetBytes: number;
  readonly plugins: readonly Plugin[];
  /** Blocks taken at once. Default: what the CPU backend does. */
  readonly slabBlocks?: number | undefined;
  /** Looks at the memory in all, about. Default 1,000. */
  readonly looks?: number;
}

/** Most requests that wait inside the scheduler: the rest would only slow it. */
const INSIDE = 64;

/** Replays a trace. Throws a RangeError for a request that does not fit alone. */
export async function replayWaste(options: WasteOptions): Promise<Waste> {
  const { budgetBytes, plugins, slabBlocks, chunk } = options;
  const memory = new PaperMemory(budgetBytes);
  const limits = {
    bytes: budgetBytes,
    maxSpan: budgetBytes,
    align: memory.align,
    rows: chunk,
    seqs: chunk,
    wanted: chunk,
    top: 1,
  };
  const backend = wasmFormats(false, limits);
  const { slab } = backend;
  const { plan, close } = await compilePlan({
    model: SMOLLM2_SHAPE,
    backend: slabBlocks === undefined ? backend : {
      ...backend,
      slab: (shape) => ({ ...slab!(shape), blocks: slabBlocks }),
    },
    plugins,
  });
  const cache = createCache({ plan, memory, budgetBytes });
  const scheduler = createScheduler({
    cache,
    maxRows: chunk,
    maxSeqs: chunk,
    maxWanted: chunk,
  });
  const looks = new Looks(cache, memory);
  const steps = run(scheduler, options, looks);
  cache.check();
  await close();
  return looks.result(steps, scheduler.stat().preempted);
}

/** Runs all of it; returns the steps. */
function run(
  scheduler: Scheduler,
  options: WasteOptions,
  looks: Looks,
): number {
  const { stepMs, rowMs, trace, looks: wanted = 1000 } = options;
  const arrivals = paced(trace, options);
  const cost = arrivals.reduce((sum, a) => sum + rowsOf(a), 0) *
    rowCost(options);
  const span = Math.max(arrivals.at(-1)?.at ?? 0, cost);
  let clock = 0, next = 0, steps = 0, lookAt = 0;
  while (next < arrivals.length || !scheduler.idle) {
    if (scheduler.idle) clock = Math.max(clock, arrivals[next]!.at);
    while (
      arrivals[next] !== undefined && arrivals[next]!.at <= clock &&
      scheduler.stat().waiting < INSIDE
    ) take(scheduler, arrivals[next]!, next++);
    const plan = scheduler.step();
    if (plan === undefined) {
      throw new Error(`Cannot go on with a replay at ${clock} ms: no step`);
    }
    for (let i = 0; i < plan.count; i++) plan.sampled[i] = 0;
    clock += stepMs + rowMs * plan.rows;
    scheduler.done(plan);
    steps++;
    if (clock < lookAt) continue;
    looks.look(scheduler);
    lookAt = clock + span / wanted;
  }
  return steps;
}

function take(scheduler: Scheduler, arrival: Arrival, i: number): void {
  const { prompt, make } = arrival;
  const short = scheduler.add({
    id: String(i),
    prompt: new Array<number>(prompt).fill(i),
    maxTokens: make,
  });
  if (short === undefined) return;
  throw new RangeError(
    `Cannot replay a request of ${
      positions(arrival)
    } positions: ${short.bytes} bytes are missing, raise the budget`,
  );
}

/** The trace with its times stretched; see `Pretended.load`. */
export function paced(
  trace: readonly Arrival[],
  pretended: Pretended,
): Arrival[] {
  const rows = trace.reduce((sum, a) => sum + rowsOf(a), 0);
  const span = trace.at(-1)?.at ?? 0;
  if (span === 0) return [...trace];
  const factor = rows * rowCost(pretended) / pretended.load / span;
  return trace.map((a) => ({ ...a, at: a.at * factor }));
}

function rowsOf({ prompt, make }: Arrival): number {
  return prompt + make;
}

function rowCost({ stepMs, rowMs, chunk }: Pretended): number {
  return rowMs + stepMs / chunk;
}
