/**
 * The step loop: plans, runs and settles steps while there are requests.
 *
 * @module
 */
import type { Backend, StepResult } from "../core/backend.ts";
import type { KVCache } from "../core/cache.ts";
import type { Scheduler } from "../core/scheduler.ts";
import type {
  Finished,
  GenRequest,
  StepPlan,
} from "../core/scheduler_types.ts";
import { fillWanted } from "../core/step_plan.ts";
import { LostBlocks } from "../core/swap.ts";
import type { Ended, Job } from "./job.ts";
import { Sweeps } from "./sweep.ts";

/** Called after every step, with the books settled. */
export type AfterStep = () => void;

/** A job and what may end it. */
interface Running {
  readonly job: Job;
  readonly signal: AbortSignal | undefined;
  /** Listens to `signal`. */
  readonly abort: () => void;
}

/** Runs requests together until none is left, then rests. */
export class Loop {
  readonly #backend: Backend;
  readonly #cache: KVCache;
  readonly #scheduler: Scheduler;
  readonly #jobs = new Map<string, Running>();
  readonly #afterStep: AfterStep | undefined;
  /** Steps of more rows than a batch. */
  readonly sweeps: Sweeps;
  #running: Promise<void> | undefined;
  #failure: Error | undefined;

  constructor(
    backend: Backend,
    cache: KVCache,
    scheduler: Scheduler,
    afterStep?: AfterStep,
  ) {
    this.#backend = backend;
    this.#cache = cache;
    this.#scheduler = scheduler;
    this.sweeps = new Sweeps(backend, cache);
    this.#afterStep = afterStep;
  }

  /**
   * Takes a request; `signal` ends it with its reason. Throws a RangeError where
   * it does not fit the memory even alone, and whatever stopped the loop before.
   */
  add(request: GenRequest, job: Job, signal?: AbortSignal): void {
    if (this.#failure !== undefined) throw this.#failure;
    const short = this.#scheduler.add(request);
    if (short !== undefined) {
      throw new RangeError(
        `Cannot run a request of ${request.prompt.length} tokens and ${request.maxTokens} to make: ` +
          `its K/V lack ${short.bytes} of ${
            short.bytes + this.#cache.budgetBytes
          } bytes; raise "budget" or ask for less`,
      );
    }
    this.#keep(request.id, job, signal);
    this.#running ??= this.#run();
  }

  #keep(id: string, job: Job, signal: AbortSignal | undefined): void {
    const abort = (): void => this.abort(id);
    signal?.addEventListener("abort", abort, { once: true });
    this.#jobs.set(id, { job, signal, abort });
  }

  /**
   * A request that goes on from where a resting one is, and rests as well. Only
   * from within `settle()`.
   */
  fork(id: string, request: GenRequest, job: Job, signal?: AbortSignal): void {
    this.#scheduler.fork(id, request);
    this.#keep(request.id, job, signal);
  }

  /** Gives a resting request its token; `stops`: it ends it. */
  resume(id: string, token: number, stops = false): void {
    this.#scheduler.resume(id, token, stops);
  }

  /** Ends a request; its job hears of it at once or after the running step. */
  abort(id: string): void {
    if (!this.#jobs.has(id)) return;
    try {
      this.#scheduler.abort(id);
      this.#report(this.#scheduler.ended());
    } catch (error) {
      this.#fail(error as Error);
    }
  }

  /** Ends everything and waits for the running step. */
  async close(why: Error): Promise<void> {
    this.#failure ??= why;
    for (const id of [...this.#jobs.keys()]) this.abort(id);
    await this.#running;
  }

  async #run(): Promise<void> {
    // Requests that come in one go begin together.
    await undefined;
    try {
      while (!this.#scheduler.idle) {
        const plan = this.#scheduler.step(true);
        if (plan === undefined) {
          this.#report(this.#scheduler.ended());
          if (this.#scheduler.idle) return;
          const arrival = this.#scheduler.arrival();
          if (arrival !== undefined) {
            await soon(arrival);
            continue;
          }
          throw new Error(
            "Cannot go on: requests wait and none of them can run",
          );
        }
        await this.#step(plan);
        this.#afterStep?.();
      }
    } catch (error) {
      this.#fail(error as Error);
    } finally {
      // At once: a request that came a moment later would find nobody running.
      this.#running = undefined;
    }
  }

  async #step(plan: StepPlan): Promise<void> {
    try {
      const loading = this.#cache.load(plan.reservation);
      if (loading !== undefined) await loading;
      this.#scheduler.loaded();
      if (!await this.#execute(plan)) {
        this.#report(this.#scheduler.cancel(plan));
        return;
      }
    } catch (error) {
      if (error instanceof LostBlocks) {
        this.#report(this.#scheduler.lose(plan, error.lost));
        return;
      }
      this.#report(this.#scheduler.cancel(plan));
      throw error;
    }
    this.#report(this.#scheduler.done(plan));
    for (let i = 0; i < plan.count; i++) {
      if (plan.holds[i] === 1) this.#settle(plan.entries[i]!.request.id);
    }
    this.#report(this.#scheduler.ended());
  }

  /** Runs a step and gives what comes of it; false where that is nothing. */
  async #execute(plan: StepPlan): Promise<boolean> {
    if (plan.sweeps) {
      this.#backend.batch.states = false;
      return await this.sweeps.run(
        plan,
        this.#top(plan),
        () => this.#scheduler.isWanted(plan),
        (i, result) => this.#give(plan, i, result),
      );
    }
    this.#fill(plan);
    const result = await this.#backend.run();
    for (let i = 0; i < plan.count; i++) this.#give(plan, i, result);
    return true;
  }

  /** Gives the i-th entry's rows to its job, and takes its tokens. */
  #give(plan: StepPlan, i: number, result: StepResult): void {
    const entry = plan.entries[i]!, { id } = entry.request;
    plan.sampled[i] = 0;
    const job = this.#jobs.get(id)?.job;
    if (job === undefined) return;
    try {
      // What is restored has no rows behind the layer it is restored to.
      if (!plan.restores) job.rows(entry, result);
      if (!entry.samples) return;
      const row = entry.wantedAt + entry.wanted - 1 - entry.drafts;
      if (job.hold !== undefined) {
        job.hold(row, result);
        plan.holds[i] = 1;
        return;
      }
      for (let right = 0;; right++) {
        const token = job.sample(row + right, result);
        const stops = job.take(token);
        plan.sampled[i] = token;
        plan.accepted[i] = right;
        plan.stops[i] = stops ? 1 : 0;
        if (stops || right === entry.drafts || token !== entry.guess(right)) {
          return;
        }
      }
    } catch (error) {
      // Its own trouble: the others go on.
      this.#end(id, { reason: "error" }, error);
      this.#scheduler.abort(id);
    }
  }

  #settle(id: string): void {
    const job = this.#jobs.get(id)?.job;
    try {
      job?.settle?.();
    } catch (error) {
      this.#end(id, { reason: "error" }, error);
      this.#scheduler.abort(id);
    }
  }

  #fill(plan: StepPlan): void {
    const { batch } = this.#backend;
    this.#cache.fill(plan.reservation, batch);
    fillWanted(plan, batch);
    batch.top = this.#top(plan);
    batch.states = this.#states(plan);
  }

  #states(plan: StepPlan): boolean {
    for (let i = 0; i < plan.count; i++) {
      if (this.#jobs.get(plan.entries[i]!.request.id)?.job.states) return true;
    }
    return false;
  }

  /** How many of the largest logits the jobs of a step want. */
  #top(plan: StepPlan): number {
    let top = 0;
    for (let i = 0; i < plan.count; i++) {
      const { request, samples } = plan.entries[i]!;
      if (samples) {
        top = Math.max(top, this.#jobs.get(request.id)?.job.top ?? 0);
      }
    }
    return top;
  }

  #report(ended: readonly Finished[]): void {
    for (const end of ended) this.#end(end.id, end, end.error);
  }

  #end(id: string, how: Ended, error: unknown): void {
    const running = this.#jobs.get(id);
    if (running === undefined) return;
    this.#jobs.delete(id);
    const { job, signal, abort } = running;
    signal?.removeEventListener("abort", abort);
    if (how.reason === "aborted") {
      error ??= signal?.aborted ? signal.reason : this.#failure;
    }
    job.ended(how, error);
  }

  /** What failed will not work again: everyone hears why, now and later. */
  #fail(error: Error): void {
    this.#failure ??= error;
    const ids = [...this.#jobs.keys()];
    for (const id of ids) this.#end(id, { reason: "error" }, error);
    for (const id of ids) {
      try {
        this.#scheduler.abort(id);
      } catch {
        // The scheduler or its cache may be what failed; `error` says so.
      }
    }
    this.#scheduler.ended();
  }
}

/** Milliseconds after which requests that came, and deadlines, are looked at again. */
const LOOK = 20;

/** Waits for blocks on their way, for a while. */
async function soon(arrival: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, LOOK);
  });
  await Promise.race([arrival, late]);
  clearTimeout(timer);
}
