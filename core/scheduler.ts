/**
 * Continuous batching: which rows of which requests run next.
 *
 * ```text
 *  add ─▶ waiting ─▶ running ─▶ ended         plan = step()
 *            ▲        │  ▲  │                 (fill, run, sample)
 *            └────────┘  └──┘ hold, resume    done(plan)
 *              preempt
 * ```
 *
 * Every step has a row for each decoding request, and prompts in chunks with
 * the rows that are left. When blocks run out, requests give way: their blocks
 * are dropped and computed again later. The oldest running request that has
 * something to compute never does, so it ends (or rests), and then the next is
 * the oldest: a request that fits the budget alone always finishes.
 *
 * Requests of a family have the same prompt: one computes it, the others begin as
 * forks. A request that is held rests until its next token is known, as beams do
 * while they are compared.
 *
 * @module
 */
import { saltOf } from "./adapters.ts";
import type { KVCache } from "./cache.ts";
import type { Shortfall } from "./cache_types.ts";
import {
  add,
  fits,
  measure,
  MOST_LOSSES,
  ordered,
  originOf,
  restorable,
  start,
} from "./admit.ts";
import { Preemption } from "./preemption.ts";
import { checkRequest, joinFamily } from "./request_checks.ts";
import { insert, remove, RequestState } from "./request_state.ts";
import type {
  Finished,
  FinishReason,
  GenRequest,
  GiveWay,
  SchedulerStat,
  StepPlan,
} from "./scheduler_types.ts";
import { Plan, type StepLimits } from "./step_plan.ts";
import type { SeqId } from "./types.ts";

/** What a scheduler works with. */
export interface SchedulerOptions extends StepLimits {
  /** Where sequences live; its plan names the `admission`. */
  readonly cache: KVCache;
  /**
   * Most rows of a step that goes through layers part by part, where the backend can.
   * Default: there is none.
   */
  readonly sweepRows?: number | undefined;
  /** Longest sequence, prompt and sampled tokens together. Default: no limit. */
  readonly maxLength?: number;
  /**
   * Part of the budget that admissions leave free while others run, so that those
   * need not give way at once. Default 0.01.
   */
  readonly watermark?: number;
  /** The clock of deadlines, milliseconds. Default `performance.now`. */
  readonly now?: () => number;
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
  /** How many requests have a deadline. */
  #timed = 0;
  readonly #preemption: Preemption;
  /** When the step that is planned was. */
  #began = 0;
  #steps = 0;
  #rows = 0;
  #recomputed = 0;
  #restored = 0;
  #drafted = 0;
  #accepted = 0;

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
    const { watermark = 0 } = options;
    if (!(watermark >= 0 && watermark < 1)) {
      throw new RangeError(
        `Cannot make a scheduler with "watermark" ${watermark}: a part of the budget from 0, below 1, is wanted`,
      );
    }
    this.#cache = options.cache;
    this.#options = options;
    this.#most = Math.min(
      options.maxRows,
      options.maxSeqs,
      options.maxWanted,
    );
    const { draft, stepTokens } = options.cache.plan;
    this.#plan = new Plan(options, draft, stepTokens);
    this.#preemption = new Preemption(
      options.cache,
      this.#waiting,
      this.#running,
    );
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
    this.#check(request);
    const { prompt, maxTokens } = request;
    // The last sampled token is never computed.
    const length = prompt.length + Math.max(0, maxTokens - 1);
    const missing = this.#cache.missingBytes(length);
    if (missing > 0) {
      const block = this.#cache.peakBytes(1, 1);
      return { ok: false, blocks: Math.ceil(missing / block), bytes: missing };
    }
    const state = new RequestState(request, this.#arrivals++);
    const relative = this.#states.get(request.sharesWith ?? "");
    if (relative !== undefined) joinFamily(state, relative);
    if (request.deadline !== undefined) this.#timed++;
    this.#states.set(request.id, state);
    this.#waiting.push(state);
    return undefined;
  }

  /**
   * A second request that goes on from where a held one is, held as well. Its
   * blocks are shared, or computed when it is resumed. Throws a TypeError on an
   * id in use, and for a request that is not held.
   */
  fork(id: string, request: GenRequest): void {
    this.#check(request);
    const from = this.#heldState(id, "fork");
    const made = new RequestState(request, this.#arrivals++);
    made.history = from.history.slice();
    made.length = from.length;
    made.held = true;
    made.cached = from.cached;
    made.miss = from.miss;
    made.reached = from.reached;
    joinFamily(made, from);
    // One whose blocks are partly in a tier has nothing to share.
    const runs = this.#running.includes(from) &&
      this.#cache.canFork(from.seq!, this.#cache.length(from.seq!));
    if (runs) {
      try {
        made.seq = this.#cache.fork(from.seq!);
      } catch (error) {
        made.leave();
        throw error;
      }
      made.computed = from.computed;
    }
    if (request.deadline !== undefined) this.#timed++;
    this.#states.set(request.id, made);
    insert(runs ? this.#running : this.#waiting, made);
  }

  /**
   * Gives a held request its token. `stops`: the token ends it. Throws a
   * TypeError for a request that is not held.
   */
  resume(id: string, token: number, stops = false): void {
    const s = this.#heldState(id, "resume");
    s.held = false;
    s.push(token);
    if (stops) this.#end(s, "stop");
    else if (s.produced >= s.request.maxTokens) this.#end(s, "length");
  }

  #heldState(id: string, action: string): RequestState {
    const s = this.#states.get(id);
    if (s?.held && !this.#planned) return s;
    throw new TypeError(
      `Cannot ${action} request "${id}": ${
        this.#planned
          ? "a step is planned; call done() or cancel() first"
          : s === undefined
          ? "it is not there"
          : "it is not held"
      }`,
    );
  }

  /**
   * Chooses the next step and reserves its blocks; undefined when nothing can
   * run. Executes nothing. Throws a TypeError while a plan is not done. `patient`:
   * requests whose blocks are on their way do not run before, even if nobody else can;
   * `arrival()` says when to ask again.
   */
  step(patient = false): StepPlan | undefined {
    if (this.#planned) {
      throw new TypeError(
        "Cannot plan a step: call done() or cancel() for the last one first",
      );
    }
    this.#expire();
    let chunk = this.#options.maxRows;
    let admits = true;
    let guesses = true;
    let sweeps = true;
    for (;;) {
      if (admits) this.#admit();
      admits = false;
      const plan = this.#plan;
      this.#arrive(false);
      this.#lookAhead();
      plan.choose(this.#running, chunk, guesses, sweeps);
      if (plan.count === 0 && patient && this.arrival() !== undefined) {
        return undefined;
      }
      if (plan.count === 0 && this.#arrive(true)) {
        plan.choose(this.#running, chunk, guesses, sweeps);
      }
      if (plan.count === 0) {
        // All that run rest. They give way where somebody waits for their room.
        const resting = this.#running.at(-1);
        if (resting === undefined || !this.#somebodyWaits()) return undefined;
        this.#preemption.giveWay(resting, "auto");
        admits = true;
        continue;
      }
      const r = this.#cache.reserve(plan.entries, plan.count, plan.restores);
      if (r.ok) {
        plan.reservation = r;
        this.#planned = true;
        this.#began = performance.now();
        return plan;
      }
      if (plan.sweeps) sweeps = false;
      else if (plan.drafted > 0) guesses = false;
      else if (this.#running.length > 1) {
        this.#preemption.giveWay(this.#preemption.victim(), "auto");
      } else if (this.#preemption.forgetSwapped()) continue;
      else if (this.#spill(this.#running[0]!, r)) continue;
      else if (plan.longest() > 1) chunk = plan.longest() >> 1;
      else {
        this.#restart(this.#running[0]!, r);
        chunk = this.#options.maxRows;
        admits = true;
      }
    }
  }

  /** Resolves when blocks of a running request have come, or are lost. */
  arrival(): Promise<unknown> | undefined {
    for (const s of this.#running) {
      const coming = s.coming ? this.#cache.arrival(s.seq!) : undefined;
      if (coming !== undefined) return coming;
    }
    return undefined;
  }

  /** What the step reads is there: from now on it computes. */
  loaded(): void {
    this.#began = performance.now();
  }

  /**
   * Lets requests run whose blocks have come; `all`: also those that wait for them,
   * as `load()` will. Whether there were any.
   */
  #arrive(all: boolean): boolean {
    let any = false;
    for (const s of this.#running) {
      if (!s.coming) continue;
      s.coming = !all && this.#cache.isComing(s.seq!);
      any ||= !s.coming;
    }
    return any;
  }

  /** Finds out what of the running requests can be restored from hidden states. */
  #lookAhead(): void {
    if (this.#cache.plan.restore === undefined) return;
    for (const s of this.#running) {
      if (s.spilled || s.losses >= MOST_LOSSES) s.restores = undefined;
      else if (!s.decoding) {
        const { start = 0, end = 0 } = s.restores ?? {};
        // Where it begins, once more: there may have been time to forget it.
        if (s.computed < end && s.computed !== start) continue;
        s.restores = restorable(s, this.#cache);
      }
    }
  }

  /** Makes room for the only running request by moving some of it out of the way. */
  #spill(s: RequestState, { bytes }: Shortfall): boolean {
    if (s.stalled >= MOST_STALLED) return false;
    const moved = this.#cache.spill(s.seq!, bytes);
    s.spilled ||= moved;
    return moved;
  }

  #somebodyWaits(): boolean {
    for (const s of this.#waiting) if (!s.held) return true;
    return false;
  }

  /** Ends what is past its deadline. */
  #expire(): void {
    if (this.#timed === 0) return;
    const now = this.#options.now?.() ?? performance.now();
    for (const s of this.#states.values()) {
      if ((s.request.deadline ?? Infinity) <= now) this.#end(s, "deadline");
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
    const mine = this.#plan;
    for (let i = 0; i < plan.count; i++) {
      const e = mine.entries[i]!;
      mine.kept[i] = e.rows - e.drafts + plan.accepted[i]!;
    }
    this.#planned = false;
    this.#cache.commit(
      plan.reservation,
      mine.drafted > 0 ? mine.kept : undefined,
    );
    this.#steps++;
    this.#rows += plan.rows;
    const took = (performance.now() - this.#began) / 1000;
    // One that reads from tiers meanwhile says nothing of how long computing takes.
    if (!mine.spills) this.#preemption.timed(plan.rows, took, plan.restores);
    mine.restored = plan.restores;
    this.#drafted += mine.drafted;
    for (let i = 0; i < plan.count; i++) this.#settle(i);
    this.#leave();
    return this.ended();
  }

  /** What a step did to the request of its i-th entry. */
  #settle(i: number): void {
    const plan = this.#plan, e = plan.entries[i]!, s = e.state;
    const accepted = plan.accepted[i]!;
    s.computed += plan.kept[i]!;
    // The guesses that were right stand behind its tokens already.
    s.length += accepted;
    this.#accepted += accepted;
    const again = Math.max(0, Math.min(s.reached, s.computed) - e.start);
    if (plan.restores) this.#restored += s.computed - e.start;
    else this.#recomputed += again;
    s.reached = Math.max(s.reached, s.computed);
    this.#cache.plan.admission.served?.(s.request, plan.kept[i]!);
    if (s.leaving === "aborted") this.#end(s, "aborted");
    else if (plan.holds[i] === 1) {
      s.held = true;
      if (this.#alone === s) this.#alone = undefined;
    } else if (e.samples) {
      s.push(plan.sampled[i]!);
      if (plan.stops[i] === 1) this.#end(s, "stop");
      else if (s.produced >= s.request.maxTokens) this.#end(s, "length");
    } else if (s.computed === s.length) this.#end(s, "length");
  }

  /** Whether anybody waits for a planned step: not all of its requests were aborted. */
  isWanted(plan: StepPlan): boolean {
    this.#requirePlanned(plan);
    const { entries, count } = this.#plan;
    for (let i = 0; i < count; i++) {
      if (entries[i]!.state.leaving !== "aborted") return true;
    }
    return false;
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

  /**
   * Makes a running request wait. "swap" moves its blocks to a tier where there is
   * room; "drop" gives them up, and they are computed again; "auto", the default,
   * does what costs less.
   */
  preempt(id: string, how: GiveWay = "auto"): void {
    const s = this.#states.get(id);
    if (s === undefined || !this.#running.includes(s)) return;
    if (this.#held(s)) s.leaving ??= how;
    else this.#preemption.giveWay(s, how);
  }

  /**
   * In place of `done()`: tiers have lost blocks, by sequence from a position on. That
   * is computed again; other requests are as before.
   */
  lose(
    plan: StepPlan,
    lost: ReadonlyMap<SeqId, number>,
  ): readonly Finished[] {
    const ended = this.cancel(plan);
    for (const s of [...this.#running]) {
      const at = s.seq === undefined ? undefined : lost.get(s.seq);
      if (at === undefined) continue;
      s.losses++;
      s.restores = undefined;
      // A tier that is gone has lost the first block too.
      const weight = at === 0 ? MOST_STALLED / 16 : 1;
      s.stalled = s.reached > s.lostAt ? 0 : s.stalled + weight;
      s.lostAt = s.reached;
      if (this.#cache.cutLost(s.seq!, at)) s.computed = at;
      else this.#preemption.giveWay(s, "drop");
    }
    return ended;
  }

  /** The figures. */
  stat(): SchedulerStat {
    return {
      waiting: this.#waiting.length,
      running: this.#running.length,
      preempted: this.#preemption.preempted,
      swapped: this.#preemption.swapped,
      steps: this.#steps,
      rows: this.#rows,
      recomputed: this.#recomputed,
      restored: this.#restored,
      drafted: this.#drafted,
      accepted: this.#accepted,
    };
  }

  #check(request: GenRequest): void {
    if (this.#states.has(request.id)) {
      throw new TypeError(
        `Cannot add request "${request.id}": the id is in use`,
      );
    }
    checkRequest(request, this.#options.maxLength ?? Infinity);
  }

  /** Moves waiting requests to running while rows and memory last. */
  #admit(): void {
    if (this.#waiting.length === 0) return;
    this.#admitSome();
    // While the step runs, what comes next is brought nearer.
    for (let i = 0; i < Math.min(LOOK_AHEAD, this.#waiting.length); i++) {
      const s = this.#waiting[i]!;
      if (s.promoted || s.seq !== undefined) continue;
      s.promoted = true;
      const salt = saltOf(s.request);
      this.#cache.promote(s.history.subarray(0, s.length), salt);
    }
  }

  #admitSome(): void {
    const { maxRows, sweepRows = maxRows } = this.#options;
    const most = Math.max(maxRows, sweepRows);
    const load = measure(this.#running, this.#cache);
    if (load.rows >= most) return;
    if (this.#running.length >= this.#most) return;
    const watermark = (this.#options.watermark ?? WATERMARK) *
      this.#cache.budgetBytes;
    for (const s of this.#order()) {
      if (this.#running.length >= this.#most) return;
      if (load.rows >= most) return;
      const first = this.#running.length === 0;
      s.bytes = this.#cache.peakBytes(s.length, maxRows, "blocks");
      const from = originOf(s, this.#cache);
      if (from === "wait") continue;
      if (!first && !fits(load, s, from, this.#cache, watermark)) return;
      if (!start(s, from, this.#cache)) {
        if (!first) return;
        // Nobody runs who would give memory back.
        this.#preemption.forgetSwapped();
        start(s, undefined, this.#cache);
      }
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
          `Cannot go on with request "${s.request.id}" at ${s.computed} tokens: ${short.bytes} bytes of KV memory are missing of ${this.#cache.budgetBytes}` +
            (s.losses > 0
              ? `, and tiers have lost what it left there ${s.losses} times`
              : ""),
        ),
      );
      return;
    }
    this.#preemption.giveWay(s, "drop");
    this.#alone = s;
  }

  #end(s: RequestState, reason: FinishReason, error?: Error): void {
    // First out of all lists: whatever closing the sequence throws, it is over.
    const { seq } = s;
    s.seq = undefined;
    remove(this.#running, s);
    remove(this.#waiting, s);
    this.#states.delete(s.request.id);
    s.leave();
    if (s.request.deadline !== undefined) this.#timed--;
    if (this.#alone === s) this.#alone = undefined;
    this.#ended.push(s.finished(reason, error));
    if (seq !== undefined) this.#cache.close(seq);
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
      const { leaving } = s;
      if (leaving === undefined || leaving === "aborted") continue;
      this.#preemption.giveWay(s, leaving);
    }
  }

  #requirePlanned(plan: StepPlan): void {
    if (this.#planned && plan === this.#plan) return;
    throw new TypeError("Cannot end a step: it is not the one planned last");
  }

  #requireTokens(plan: StepPlan): void {
    for (let i = 0; i < plan.count; i++) {
      const e = plan.entries[i]!;
      if (!e.samples || plan.sampled[i]! >= 0 || plan.holds[i] === 1) continue;
      throw new RangeError(
        `Cannot end a step: entry ${i} of request "${e.request.id}" has ${
          plan.sampled[i]
        } for a token; write it to "sampled" first`,
      );
    }
  }
}

/** See `SchedulerOptions.watermark`. */
const WATERMARK = 0.01;

/**
 * Losses in a row, without a position computed for the first time in between, until
 * tiers are given up; a sixteenth of them where everything is lost.
 */
const MOST_STALLED = 256;

/** Waiting requests whose prefixes are fetched while others run. */
const LOOK_AHEAD = 2;

const NOTHING: readonly Finished[] = Object.freeze([]);
