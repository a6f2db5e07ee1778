/**
 * One run in which much happens: starts in common, siblings, rests and forks, an
 * abort, a preemption, a failed step. What comes out is compared with the oracle,
 * and the books are looked at after every step.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { CachePlan } from "../plan.ts";
import type { Plugin } from "../plugin.ts";
import type {
  GenRequest,
  SchedulerStat,
  StepPlan,
} from "../scheduler_types.ts";
import type { CacheStat } from "../cache_stat.ts";
import { LostBlocks } from "../swap.ts";
import { fakeGenerate, fakeNext } from "./fake_backend.ts";
import {
  type SchedulerDriver,
  schedulerDriver,
  type SchedulerDriverOptions,
} from "./scheduler_driver.ts";

/** What a run gave. */
export interface Scenario {
  readonly plan: CachePlan;
  /** Tokens by request, of those that nobody aborted. */
  readonly tokens: Readonly<Record<string, readonly number[]>>;
  readonly cache: CacheStat;
  readonly scheduler: SchedulerStat;
}

/** How a run is made. */
export interface ScenarioOptions extends SchedulerDriverOptions {
  /** The budget holds the largest request alone and little more. */
  readonly tight?: boolean;
  /** Called with the plan before anything runs. */
  readonly planned?: (plan: CachePlan) => void;
}

/** Longest that a request becomes, tokens. */
const LONGEST = 40;

/** Steps after which nobody is made to give way any more. */
const CALM = 300;

/** A text that repeats itself here and there. */
function text(length: number, from = 0): number[] {
  return Array.from({ length }, (_, i) => (from + i) % 7);
}

const START = text(17);

const REQUESTS: readonly GenRequest[] = [
  { id: "first", prompt: [...START, 50, 51], maxTokens: 9 },
  { id: "twin", prompt: [...START, 50, 51], maxTokens: 7, sharesWith: "first" },
  {
    id: "third",
    prompt: [...START, 50, 51],
    maxTokens: 12,
    sharesWith: "first",
  },
  { id: "near", prompt: [...START, 50, 60, 61], maxTokens: 6, priority: 1 },
  { id: "other", prompt: text(11, 3), maxTokens: 15, tenant: "a" },
  { id: "salted", prompt: [...START, 50, 51], maxTokens: 5, tenant: "a" },
  { id: "gone", prompt: [...START, 70], maxTokens: 20 },
  { id: "rests", prompt: [...START, 5, 6, 0, 1], maxTokens: 8 },
  { id: "rows", prompt: text(9, 2), maxTokens: 2, logits: "all" },
  { id: "long", prompt: text(25), maxTokens: 15 },
  { id: "one", prompt: [33], maxTokens: 3 },
  { id: "none", prompt: text(6), maxTokens: 0 },
];

/** Comes when the others are nearly over: what they left may still be there. */
const LATE: readonly GenRequest[] = [
  { id: "again", prompt: [...START, 50, 51], maxTokens: 9 },
  { id: "longer", prompt: [...text(25), ...text(5, 4)], maxTokens: 4 },
];

/** Runs it with these plugins; throws where anything is not as it should be. */
export async function runScenario(
  plugins: readonly Plugin[],
  options: ScenarioOptions = {},
): Promise<Scenario> {
  const { tight = false, planned, ...sizes } = options;
  const probe = await schedulerDriver(plugins, { layers: 3, ...sizes });
  const { budgetBytes = probe.backend.limits.bytes } = sizes;
  const d = tight
    ? await schedulerDriver(plugins, {
      layers: 3,
      ...sizes,
      budgetBytes: tightBudget(probe, budgetBytes),
    })
    : probe;
  planned?.(d.plan);
  const run = new Run(d);
  await run.all();
  return {
    plan: d.plan,
    tokens: run.tokens(),
    cache: d.cache.stat(),
    scheduler: d.scheduler.stat(),
  };
}

function tightBudget(d: SchedulerDriver, most: number): number {
  return Math.min(most, Math.ceil(d.cache.peakBytes(LONGEST, 1) * 1.4));
}

class Run {
  readonly #d: SchedulerDriver;
  /** What requests that rested go on with: their tokens up to there. */
  readonly #chosen = new Map<string, number[]>();
  #steps = 0;

  constructor(d: SchedulerDriver) {
    this.#d = d;
  }

  async all(): Promise<void> {
    const { scheduler, cache } = this.#d;
    for (const r of REQUESTS) assert.equal(scheduler.add(r), undefined, r.id);
    while (!scheduler.idle) {
      assert.ok(++this.#steps < 2000, "does not come to an end");
      if (this.#steps === 12) { for (const r of LATE) scheduler.add(r); }
      const plan = scheduler.step();
      if (plan === undefined) {
        this.#d.keep(scheduler.ended());
        this.#resume();
        continue;
      }
      cache.check();
      await this.#run(plan);
      cache.check();
      this.#resume();
      // Where steps are short, nobody would end between two of these.
      if (this.#steps > CALM) continue;
      if (this.#steps % 9 === 5) scheduler.preempt("other");
      if (this.#steps % 11 === 7) scheduler.preempt("third", "drop");
      cache.check();
    }
    this.#judge();
    assert.equal(cache.stat().sequences, 0);
    cache.evictIdle();
    cache.check();
    assert.equal(this.#d.backend.memory.stat().used, 0, "bytes are left");
  }

  tokens(): Record<string, readonly number[]> {
    const all = [...this.#d.finished].filter(([id]) => id !== "gone");
    return Object.fromEntries(
      all.map(([id, f]) => [id, f.tokens] as const)
        .sort(([a], [b]) => a < b ? -1 : 1),
    );
  }

  async #run(plan: StepPlan): Promise<void> {
    const { scheduler, cache } = this.#d;
    try {
      const loading = cache.load(plan.reservation);
      if (loading !== undefined) await loading;
      if (this.#steps === 4 || this.#steps === 21) {
        this.#d.keep(scheduler.cancel(plan));
        return;
      }
      this.#d.run(plan);
    } catch (e) {
      if (!(e instanceof LostBlocks)) throw e;
      this.#d.keep(scheduler.lose(plan, e.lost));
      return;
    }
    if (this.#steps === 6) scheduler.abort("gone");
    for (let i = 0; i < plan.count; i++) {
      const e = plan.entries[i]!;
      if (e.request.id !== "rests" || this.#chosen.has("rests")) continue;
      if (!e.samples || e.kind !== "decode") continue;
      plan.holds[i] = 1;
      plan.sampled[i] = -1;
      // One token was sampled before, and some were guessed rightly.
      this.#chosen.set("rests", []);
      const { prompt } = e.request;
      const made = e.start + 1 + plan.accepted[i]! - prompt.length;
      const so = fakeGenerate(this.#d.plan, prompt, made);
      this.#chosen.set("rests", so);
    }
    this.#d.keep(scheduler.done(plan));
  }

  /** Two forks of what rests; all three go on differently. */
  #resume(): void {
    const { scheduler, plan } = this.#d;
    const so = this.#chosen.get("rests");
    if (so === undefined || this.#chosen.has("fork 2")) return;
    const request = REQUESTS.find((r) => r.id === "rests")!;
    for (const id of ["fork 1", "fork 2"]) {
      scheduler.fork("rests", { ...request, id });
      this.#d.cache.check();
    }
    const own = fakeNext(plan, [...request.prompt, ...so]);
    for (
      const [id, token] of [["rests", own], ["fork 1", 90], [
        "fork 2",
        91,
      ]] as const
    ) {
      this.#chosen.set(id, [...so, token]);
      scheduler.resume(id, token);
    }
  }

  #judge(): void {
    const { finished, plan } = this.#d;
    const forks = ["fork 1", "fork 2"].map((id) => ({
      ...REQUESTS.find((r) => r.id === "rests")!,
      id,
    }));
    for (const r of [...REQUESTS, ...LATE, ...forks]) {
      const f = finished.get(r.id);
      assert.ok(f, `"${r.id}" did not finish`);
      const so = this.#chosen.get(r.id) ?? [];
      const rest = fakeGenerate(
        plan,
        [...r.prompt, ...so],
        Math.max(0, r.maxTokens - so.length),
      );
      const wanted = [...so, ...rest];
      if (r.id === "gone" && f.reason === "aborted") {
        wanted.length = f.tokens.length;
      } else assert.equal(f.reason, "length", f.error?.message);
      assert.deepEqual(f.tokens, wanted, `"${r.id}"`);
    }
    const rows = new Set(this.#d.rows.get("rows"));
    for (let p = 0; p < 9; p++) assert.ok(rows.has(p), `row ${p} is missing`);
  }
}
