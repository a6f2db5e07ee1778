/**
 * Steps of more rows than a batch, through a few layers at a time: where weights
 * stream, each layer is read once for all of the rows and not once for each batch.
 *
 * ```text
 *  layers  0 … e1   rows 0 … n │ n … 2n │ 2n …      hidden states between two runs of
 *  layers e1 … e2   rows 0 … n │ n … 2n │ 2n …      layers are in host memory
 * ```
 *
 * @module
 */
import type { Backend, StepResult, SweepBatch } from "../core/backend.ts";
import type { KVCache } from "../core/cache.ts";
import type { StepPart } from "../core/cache_types.ts";
import type { LedgerLine } from "../core/ledger.ts";
import type { StepPlan } from "../core/scheduler_types.ts";
import { fillWanted } from "../core/step_plan.ts";

/** Batches in a sweep, at most. */
const PARTS = 16;

/** Most rows of a sweep; undefined where the backend runs all layers in every step. */
export function sweepRows({ batch, limits }: Backend): number | undefined {
  // Between two edges there has to be less than all layers.
  if ((batch.sweep?.edges.length ?? 0) < 3) return undefined;
  return limits.rows * PARTS;
}

/** Runs such steps. */
export class Sweeps {
  readonly #backend: Backend;
  readonly #cache: KVCache;
  /** Hidden states of all rows, [row][width]. */
  #rows = new Float32Array(0);
  #peak = 0;

  constructor(backend: Backend, cache: KVCache) {
    this.#backend = backend;
    this.#cache = cache;
  }

  /**
   * Runs a step to its end. `give` hears of each entry when its wanted row is there;
   * `top`: as the batch wants it. Once nobody `isWanted` the rest is left out, but for
   * what brings the streamed layers back to where a step begins; false then: nothing of
   * it is of use.
   */
  async run(
    plan: StepPlan,
    top: number,
    isWanted: () => boolean,
    give: (i: number, result: StepResult) => void,
  ): Promise<boolean> {
    const { batch } = this.#backend, sweep = batch.sweep!;
    const { edges, width } = sweep;
    this.#rows = new Float32Array(plan.rows * width);
    this.#peak = Math.max(this.#peak, this.#rows.byteLength);
    let wanted = true;
    try {
      for (let e = 0; e + 1 < edges.length; e++) {
        sweep.from = edges[e]!;
        sweep.to = edges[e + 1]!;
        const last = e + 2 === edges.length;
        for (const part of this.#parts(plan.rows)) {
          sweep.stays = part.to < plan.rows;
          wanted &&= isWanted();
          // The last one gives slots back.
          if (!wanted && sweep.stays) continue;
          const result = await this.#part(plan, sweep, part, last ? top : 0);
          if (last && wanted) giveEnds(plan, part, (i) => give(i, result));
        }
      }
      return wanted;
    } finally {
      sweep.from = 0;
      sweep.to = edges.at(-1)!;
      sweep.stays = false;
      this.#rows = new Float32Array(0);
    }
  }

  *#parts(rows: number): Iterable<StepPart> {
    const size = this.#backend.limits.rows;
    for (let from = 0; from < rows; from += size) {
      yield { from, to: Math.min(rows, from + size) };
    }
  }

  async #part(
    plan: StepPlan,
    sweep: SweepBatch,
    part: StepPart,
    top: number,
  ): Promise<StepResult> {
    const { batch } = this.#backend, { width, rows } = sweep;
    const own = this.#rows.subarray(part.from * width, part.to * width);
    const last = sweep.to === sweep.edges.at(-1);
    this.#cache.fill(plan.reservation, batch, part);
    if (last) fillWanted(plan, batch, part);
    else batch.wanted = 0;
    batch.top = top;
    if (sweep.from > 0) rows.set(own);
    const result = await this.#backend.run();
    if (!last) own.set(rows.subarray(0, own.length));
    return result;
  }

  /** For the ledger. */
  lines(): readonly LedgerLine[] {
    if (this.#peak === 0) return [];
    return [{
      tier: "host",
      owner: "activations",
      component: "rows between layers",
      bytes: this.#rows.byteLength,
      peak: this.#peak,
    }];
  }
}

/** Each entry is given once, with the part that has its last row. */
function giveEnds(
  plan: StepPlan,
  { from, to }: StepPart,
  give: (i: number) => void,
): void {
  for (let i = 0; i < plan.count; i++) {
    const { row, rows } = plan.entries[i]!, end = row + rows;
    if (end > from && end <= to) give(i);
  }
}
