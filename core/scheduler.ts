/**
 * Continuous batching: which rows of which requests run next.
 *
 * ```text
 *  add ─▶ waiting ─▶ running ─▶ ended         plan = step()
 *            ▲          │                     (fill, run, sample)
 *            └──────────┘ preempt             done(plan)
 * ```
 *
 * Every step has a row for each decoding request, and prompts in chunks with
 * the rows that are left. When blocks run out, requests give way: their blocks
 * are dropped and computed again later. The oldest running request never does,
 * so it ends, and then the next is the oldest: a request that fits the budget
 * alone always finishes.
 *
 * @module
 */
import type { KVCache } from "./cache.ts";
import type { Shortfall } from "./cache_types.ts";
import { add, fits, measure, ordered, start } from "./admit.ts";
import { insert, remove, RequestState } from "./request_state.ts";
import type {
  Finished,
  FinishReason,
  GenRequest,
  SchedulerStat,
  StepPlan,
} from "./scheduler_types.ts";
import { Plan, type StepLimits } from "./step_plan.ts";

/** What a scheduler works with. */
export interface SchedulerOptions extends StepLimits {
  /** Where sequences live; its plan names the `admission`. */
  readonly cache: KVCache;
  /** Longest sequence, prompt and sampled tokens together. Default: no limit. */
  readonly maxLength?: number;
}

/** Makes a scheduler without requests. */
export function createScheduler(options: SchedulerOptions): Scheduler {
  return new Scheduler(options);
}

/** Requests in, steps out. One step is planned at a time. */
export class Scheduler {
  readonly #cache: KVCache;
  readonly #options: SchedulerOptions;
  /** Most requests that run at once. */
  readonly #most: number;
  readonly #states = new Map<string, RequestState>();
  // Both ascend by arrival.
  readonly #waiting: RequestState[] = [];
  readonly #running: RequestState[] = [];
  #ended: Finished[] = [];
  /** Began anew with the whole cache to itself; nothing else is admitted. */
  #alone: RequestState | undefined;
  readonly #plan: Plan;
  #planned = false;
  #arrivals = 0;
  #preempted = 0;
  #steps = 0;
  #rows = 0;

  /** See `createScheduler()`; throws a RangeError on a limit below 1. */
  constructor(options: SchedulerOptions) {
    for (const name of ["maxRows", "maxSeqs", "maxWanted"] as const) {
      if (Number.isInteger(options[name]) && options[name] > 0) continue;
      throw new RangeError(
        `Cannot make a scheduler with "${name}" ${
          options[name]
        }: a whole number above 0 is wanted`,
      );
    }
    this.#cache = options.cache;
    this.#options = options;
    this.#most = Math.min(
      options.maxRows,
      options.maxSeqs,
      options.maxWanted,
    );
    this.#plan = new Plan(options);
  }

  /** Nothing waits and nothing runs. */
  get idle(): boolean {
    return this.#states.size === 0;
  }

  /**
   * Takes a request. One that could not finish even alone is not taken: the
   * result says what is missing. Throws a TypeError on an id in use, and a
   * RangeError on an empty prompt or numbers out of bounds.
   */
  add(request: GenRequest): Shortfall | undefined {
    this.#validate(request);
    const { prompt, maxTokens } = request;
    // The last sampled token is never computed.
    const length = prompt.length + Math.max(0, maxTokens - 1);
    const bytes = this.#cache.peakBytes(length, 1);
    const missing = bytes - this.#cache.budgetBytes;
    if (missing > 0) {
      const block = this.#cache.peakBytes(1, 1);
      return { ok: false, blocks: Math.ceil(missing / block), bytes: missing };
    }
    const state = new RequestState(request, this.#arrivals++);
    state.bytes = this.#bytes(state);
    this.#states.set(request.id, state);
    this.#waiting.push(state);
    return undefined;
  }

  /**
   * Chooses the next step and reserves its blocks; undefined when nothing can
   * run. Executes nothing. Throws a TypeError while a plan is not done.
   */
  step(): StepPlan | undefined {
    if (this.#planned) {
      throw new TypeError(
        "Cannot plan a step: call done() or cancel() for the last one first",
      );
    }
    let chunk = this.#options.maxRows;
    let admits = true;
    for (;;) {
      if (admits) this.#admit();
      admits = false;
      if (this.#running.length === 0) return undefined;
      const plan = this.#plan;
      plan.choose(this.#running, chunk);
      const r = this.#cache.reserve(plan.entries, plan.count);
      if (r.ok) {
        plan.reservation = r;
        this.#planned = true;
        return plan;
      }
      if (this.#running.length > 1) this.#drop(this.#victim());
      else if (plan.longest() > 1) chunk = plan.longest() >> 1;
      else {
        this.#restart(this.#running[0]!, r);
        chunk = this.#options.maxRows;
        admits = true;
      }
    }
  }

  /**
   * After the step has run and `plan.sampled` and `plan.stops` are written:
   * commits it, and returns the requests that ended since the last call.
   * Throws a RangeError where a token is missing.
   */
  done(plan: StepPlan): readonly Finished[] {
    this.#requirePlanned(plan);
    this.#requireTokens(plan);
    this.#planned = false;
    this.#cache.commit(plan.reservation);
    this.#steps++;
    this.#rows += plan.rows;
    for (let i = 0; i < plan.count; i++) {
      const e = this.#plan.entries[i]!;
      const s = e.state;
      s.computed += e.rows;
      if (s.leaving === "aborted") this.#end(s, "aborted");
      else if (e.samples) {
        s.push(plan.sampled[i]!);
        if (plan.stops[i] === 1) this.#end(s, "stop");
        else if (s.produced >= s.request.maxTokens) this.#end(s, "length");
      } else if (s.computed === s.length) this.#end(s, "length");
    }
    this.#leave();
    return this.ended();
  }

  /** Instead of `done()`, for a step that failed: its requests are as before. */
  cancel(plan: StepPlan): readonly Finished[] {
    this.#requirePlanned(plan);
    this.#planned = false;
    this.#cache.cancel(plan.reservation);
    for (let i = 0; i < plan.count; i++) {
      const s = this.#plan.entries[i]!.state;
      if (s.leaving === "aborted") this.#end(s, "aborted");
    }
    this.#leave();
    return this.ended();
  }

  /** Requests that ended since the last call, without waiting for `done()`. */
  ended(): readonly Finished[] {
    if (this.#ended.length === 0) return NOTHING;
    const out = this.#ended;
    this.#ended = [];
    return out;
  }

  /**
   * Ends a request, at once or with the step that holds it. Unknown ids are
   * left alone: the request may have ended by itself.
   */
  abort(id: string): void {
    const s = this.#states.get(id);
    if (s === undefined) return;
    if (this.#held(s)) s.leaving = "aborted";
    else this.#end(s, "aborted");
  }

  /** Drops a running request's blocks; it waits, and is computed again. */
  preempt(id: string, how: "drop"): void {
    const s = this.#states.get(id);
    if (how !== "drop") {
      throw new RangeError(
        `Cannot preempt "${id}" by "${how}": "drop" is possible`,
      );
    }
    if (s?.seq === undefined) return;
    if (this.#held(s)) s.leaving ??= "preempted";
    else this.#drop(s);
  }

  /** The figures. */
  stat(): SchedulerStat {
    return {
      waiting: this.#waiting.length,
      running: this.#running.length,
      preempted: this.#preempted,
      steps: this.#steps,
      rows: this.#rows,
    };
  }

  #validate({ id, prompt, maxTokens, logits }: GenRequest): void {
    const { maxLength = Infinity } = this.#options;
    if (this.#states.has(id)) {
      throw new TypeError(`Cannot add request "${id}": the id is in use`);
    }
    if (prompt.length === 0) {
      throw new RangeError(
        `Cannot add request "${id}": its prompt is empty, one token is the least`,
      );
    }
    if (!Number.isInteger(maxTokens) || maxTokens < 0) {
      throw new RangeError(
        `Cannot add request "${id}": maxTokens is ${maxTokens}, a whole number from 0 is wanted`,
      );
    }
    if (
      typeof logits === "number" &&
      !(Number.isInteger(logits) && logits >= 0 && logits < prompt.length)
    ) {
      throw new RangeError(
        `Cannot add request "${id}": logits are wanted from position ${logits}, its prompt has 0 to ${
          prompt.length - 1
        }`,
      );
    }
    if (prompt.length + maxTokens > maxLength) {
      throw new RangeError(
        `Cannot add request "${id}": ${prompt.length} tokens of prompt and ${maxTokens} to sample are above ${maxLength}`,
      );
    }
  }

  /** Moves waiting requests to running while rows and memory last. */
  #admit(): void {
    if (this.#waiting.length === 0) return;
    const load = measure(this.#running, this.#cache);
    if (load.rows >= this.#options.maxRows) return;
    if (this.#running.length >= this.#most) return;
    for (const s of this.#order()) {
      if (this.#running.length >= this.#most) return;
      if (load.rows >= this.#options.maxRows) return;
      const first = this.#running.length === 0;
      if (!first && !fits(load, s, this.#cache)) return;
      start(s, this.#cache);
      remove(this.#waiting, s);
      insert(this.#running, s);
      add(load, s, this.#cache);
    }
  }

  /** Waiting requests in the order the `admission` slot wants. */
  #order(): readonly RequestState[] {
    if (this.#alone !== undefined) {
      return this.#waiting.includes(this.#alone) ? [this.#alone] : [];
    }
    return ordered(this.#waiting, this.#cache);
  }

  /** Who gives way; never the oldest, so that somebody always comes to an end. */
  #victim(): RequestState {
    const others = this.#running.slice(1);
    const chosen = this.#cache.plan.admission.victim(
      others.map((s) => s.request),
    );
    return others.find((s) => s.request === chosen) ?? others.at(-1)!;
  }

  #drop(s: RequestState): void {
    this.#cache.close(s.seq!);
    s.seq = undefined;
    s.computed = 0;
    s.leaving = undefined;
    s.bytes = this.#bytes(s);
    this.#preempted++;
    remove(this.#running, s);
    insert(this.#waiting, s);
  }

  /**
   * The only running request has no room for one more row, though it fits by
   * arithmetic: its blocks lie badly, or others hold the memory. Starting anew
   * in an empty cache cures the first.
   */
  #restart(s: RequestState, short: Shortfall): void {
    if (this.#alone === s) {
      this.#end(
        s,
        "error",
        new RangeError(
          `Cannot go on with request "${s.request.id}" at ${s.computed} tokens: ${short.bytes} bytes of KV memory are missing of ${this.#cache.budgetBytes}`,
        ),
      );
      return;
    }
    this.#drop(s);
    this.#alone = s;
  }

  #end(s: RequestState, reason: FinishReason, error?: Error): void {
    if (s.seq !== undefined) this.#cache.close(s.seq);
    s.seq = undefined;
    remove(this.#running, s);
    remove(this.#waiting, s);
    this.#states.delete(s.request.id);
    if (this.#alone === s) this.#alone = undefined;
    this.#ended.push(s.finished(reason, error));
  }

  /** A step that is not done has rows of it. */
  #held(s: RequestState): boolean {
    if (!this.#planned) return false;
    for (let i = 0; i < this.#plan.count; i++) {
      if (this.#plan.entries[i]!.state === s) return true;
    }
    return false;
  }

  /** Carries out preemptions that came while the step ran. */
  #leave(): void {
    for (let i = this.#running.length - 1; i >= 0; i--) {
      const s = this.#running[i]!;
      if (s.leaving === "preempted") this.#drop(s);
    }
  }

  #requirePlanned(plan: StepPlan): void {
    if (this.#planned && plan === this.#plan) return;
    throw new TypeError("Cannot end a step: it is not the one planned last");
  }

  #requireTokens(plan: StepPlan): void {
    for (let i = 0; i < plan.count; i++) {
      const e = plan.entries[i]!;
      if (!e.samples || plan.sampled[i]! >= 0) continue;
      throw new RangeError(
        `Cannot end a step: entry ${i} of request "${e.request.id}" has ${
          plan.sampled[i]
        } for a token; write it to "sampled" first`,
      );
    }
  }

  /** Bytes of the blocks it takes up to its first new token. */
  #bytes(s: RequestState): number {
    return this.#cache.peakBytes(s.length, this.#options.maxRows);
  }
}

const NOTHING: readonly Finished[] = Object.freeze([]);
