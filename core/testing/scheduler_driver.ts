/**
 * Runs a scheduler over a fake backend the way an engine does.
 *
 * @module
 */
import { createCache, type KVCache } from "../cache.ts";
import type { CachePlan } from "../plan.ts";
import type { Plugin } from "../plugin.ts";
import { createScheduler, type Scheduler } from "../scheduler.ts";
import type { Finished, StepPlan } from "../scheduler_types.ts";
import { fillWanted } from "../step_plan.ts";
import type { FakeBackend, FakeOptions } from "./fake_backend.ts";
import { fakePlan } from "./fake_plan.ts";

/** Sizes of a driver. */
export interface SchedulerDriverOptions extends FakeOptions {
  readonly budgetBytes?: number;
  readonly layers?: number;
  readonly tableStride?: number;
  /** Ends a request after this token. */
  readonly stop?: number;
  /** The clock of deadlines. */
  readonly now?: () => number;
  /** See `SchedulerOptions`. */
  readonly watermark?: number;
  /** See `SchedulerOptions`. */
  readonly sweepRows?: number | undefined;
}

/** A scheduler, its cache and its backend. */
export class SchedulerDriver {
  readonly plan: CachePlan;
  readonly backend: FakeBackend;
  readonly cache: KVCache;
  readonly scheduler: Scheduler;
  readonly finished = new Map<string, Finished>();
  /** Positions whose logits each request was given, in order. */
  readonly rows = new Map<string, number[]>();
  /** Steps that had more rows than a batch. */
  sweeps = 0;
  readonly #stop: number;

  constructor(
    plan: CachePlan,
    backend: FakeBackend,
    options: SchedulerDriverOptions,
  ) {
    const { rows, seqs, wanted } = backend.limits;
    this.plan = plan;
    this.backend = backend;
    this.cache = createCache({
      plan,
      memory: backend.memory,
      openBlocks: backend.openBlocks,
      segmentTokens: options.segmentTokens,
      budgetBytes: options.budgetBytes ?? backend.limits.bytes,
    });
    this.scheduler = createScheduler({
      cache: this.cache,
      maxRows: rows,
      maxSeqs: seqs,
      maxWanted: wanted,
      sweepRows: options.sweepRows,
      ...(options.now === undefined ? {} : { now: options.now }),
      ...(options.watermark === undefined
        ? {}
        : { watermark: options.watermark }),
    });
    this.#stop = options.stop ?? -1;
  }

  /** Fills, runs and samples a planned step, without ending it. */
  run(plan: StepPlan): void {
    const most = plan.sweeps ? this.backend.limits.rows : plan.rows;
    for (let from = 0; from < plan.rows; from += most) {
      this.#part(plan, from, Math.min(plan.rows, from + most));
    }
    if (plan.sweeps) this.sweeps++;
  }

  /** Runs rows [from, to) of a step, and gives entries that end there what they want. */
  #part(plan: StepPlan, from: number, to: number): void {
    const { batch } = this.backend;
    this.cache.fill(plan.reservation, batch, { from, to });
    fillWanted(plan, batch, { from, to });
    const next = this.backend.runRows();
    for (let i = 0; i < plan.count; i++) {
      const e = plan.entries[i]!, end = e.row + e.rows;
      if (end <= from || end > to) continue;
      for (let w = 0; w < e.wanted; w++) {
        const row = batch.wantedRows[e.wantedAt + w]!;
        const given = this.rows.get(e.request.id) ?? [];
        given.push(batch.positions[row]!);
        this.rows.set(e.request.id, given);
      }
      if (!e.samples) continue;
      const last = end - 1 - e.drafts - from;
      let token = next[last]!;
      while (
        plan.accepted[i]! < e.drafts && token !== this.#stop &&
        token === e.guess(plan.accepted[i]!)
      ) {
        token = next[last + ++plan.accepted[i]!]!;
      }
      plan.sampled[i] = token;
      if (token === this.#stop) plan.stops[i] = 1;
    }
  }

  /** One whole step; false when nothing can run. */
  step(): boolean {
    const plan = this.scheduler.step();
    if (plan !== undefined) {
      this.run(plan);
      this.keep(this.scheduler.done(plan));
    } else this.keep(this.scheduler.ended());
    return plan !== undefined;
  }

  /** Notes what ended. */
  keep(ended: readonly Finished[]): void {
    for (const f of ended) this.finished.set(f.id, f);
  }

  /** Steps until nothing can run; throws after `most`. */
  drain(most = 100_000): number {
    let steps = 0;
    while (this.step()) {
      if (++steps > most) throw new Error(`not done after ${most} steps`);
    }
    return steps;
  }
}

/** A driver over a plan of these plugins. */
export async function schedulerDriver(
  plugins: readonly Plugin[],
  options: SchedulerDriverOptions = {},
): Promise<SchedulerDriver> {
  const { plan, backend } = await fakePlan(plugins, options);
  return new SchedulerDriver(plan, backend, options);
}
