/**
 * Random operations on a scheduler, each checked against what must come out.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Finished, GenRequest, StepPlan } from "../scheduler_types.ts";
import { LostBlocks } from "../swap.ts";
import type { Roll } from "./cache_acts.ts";
import { FAKE_VOCAB, fakeNext } from "./fake_backend.ts";
import type { SchedulerDriver } from "./scheduler_driver.ts";

/** Which operations there are besides adding, stepping and aborting. */
export interface ActOptions {
  /** Rest, fork and resume requests. */
  readonly holds?: boolean;
  /** The clock the scheduler was given; its time goes on with every operation. */
  readonly clock?: { time: number };
  /** Ends a request after this token; what the driver was given. */
  readonly stop?: number;
  /** One of how many disturbances is an abort, default 24. */
  readonly calm?: number;
  /** Longest prompt, most tokens to sample. */
  readonly longest?: number;
  readonly most?: number;
}

/** How often each thing happened. */
export type SchedulerCounts = Record<
  | "add"
  | "sibling"
  | "refused"
  | "step"
  | "cancel"
  | "hold"
  | "fork"
  | "resume"
  | "abort"
  | "preempt"
  | "lost"
  | "restored"
  | "sweep"
  | Finished["reason"],
  number
>;

/** When requests were aborted. */
export type AbortMoments = Record<
  "waiting" | "prefill" | "decode" | "held" | "in a step",
  number
>;

/** What a request is to give. */
interface Expected {
  readonly request: GenRequest;
  /** Sampled so far, as far as steps said. */
  tokens: number[];
  /** Tokens that the caller chose, by their place. */
  readonly chosen: Map<number, number>;
  held: boolean;
  /** A step had rows of it. */
  begun: boolean;
  aborted: boolean;
  /** Resumed with a token that ends it. */
  ends: boolean;
  /** Began where another rested: its prompt's rows were the other's. */
  forked: boolean;
}

/** Does one random operation after another. */
export class SchedulerActs {
  readonly counts: SchedulerCounts = {
    add: 0,
    sibling: 0,
    refused: 0,
    step: 0,
    cancel: 0,
    hold: 0,
    fork: 0,
    resume: 0,
    abort: 0,
    preempt: 0,
    lost: 0,
    restored: 0,
    sweep: 0,
    stop: 0,
    length: 0,
    deadline: 0,
    aborted: 0,
    error: 0,
  };
  readonly moments: AbortMoments = {
    waiting: 0,
    prefill: 0,
    decode: 0,
    held: 0,
    "in a step": 0,
  };
  readonly #d: SchedulerDriver;
  readonly #options: ActOptions;
  /** Requests that have not ended. */
  readonly #alive = new Map<string, Expected>();
  #names = 0;

  constructor(driver: SchedulerDriver, options: ActOptions = {}) {
    this.#d = driver;
    this.#options = options;
  }

  /** Requests come, things happen to them, a step runs and more happens in it. */
  async act(roll: Roll): Promise<void> {
    const { clock } = this.#options;
    if (clock !== undefined) clock.time += roll(3);
    if (this.#alive.size < 12 && roll(3) === 0) this.#add(roll);
    this.#disturb(roll);
    await this.#step(roll);
    this.#take(this.#d.scheduler.ended());
    this.#d.cache.check();
  }

  /** Goes on until nothing is left, and looks that nothing is left in memory. */
  async finish(): Promise<void> {
    const quiet: Roll = (n) => n - 1;
    for (let i = 0; !this.#d.scheduler.idle; i++) {
      assert.ok(i < 20_000, "does not come to an end");
      if (this.#options.clock !== undefined) this.#options.clock.time++;
      if (await this.#step(quiet)) continue;
      this.#take(this.#d.scheduler.ended());
      if (this.#d.scheduler.idle) break;
      const held = [...this.#alive.values()].filter((e) => e.held);
      assert.ok(held.length > 0, "requests wait and none can run");
      for (const e of held) this.#resume(e, quiet);
    }
    this.#take(this.#d.scheduler.ended());
    assert.equal(this.#alive.size, 0);
    this.#d.cache.check();
    assert.equal(this.#d.cache.stat().sequences, 0);
    this.#d.cache.evictIdle();
    this.#d.cache.check();
    assert.equal(this.#d.backend.memory.stat().used, 0);
  }

  #add(roll: Roll): void {
    const { longest = 24, most = 12, clock } = this.#options;
    const sibling = this.#some(roll);
    const shares = sibling !== undefined && roll(4) === 0;
    const start = Array.from({ length: roll(longest) }, (_, i) => i % 3);
    const own = Array.from({ length: 1 + roll(3) }, () => roll(FAKE_VOCAB));
    const tenant = ["", "a", "b"][roll(3)]!;
    const { request: other } = sibling ?? {};
    const logits = (["last", "last", "last", "all", 1] as const)[roll(5)]!;
    const prompt = shares ? [...other!.prompt] : [...start, ...own];
    const request: GenRequest = {
      id: `r${this.#names++}`,
      prompt,
      maxTokens: roll(most + 1),
      priority: roll(3),
      cachePriority: roll(3),
      tenant: shares ? other!.tenant ?? "" : tenant,
      logits: prompt.length > 1 ? logits : "last",
      ...(shares ? { sharesWith: other!.id } : {}),
      ...(clock !== undefined && roll(6) === 0
        ? { deadline: clock.time + roll(40) }
        : {}),
    };
    // An engine would wait; here the answer may come late.
    void this.#d.cache.seek(prompt, request.tenant);
    const short = this.#d.scheduler.add(request);
    if (short !== undefined) {
      assert.ok(short.blocks > 0 && short.bytes > 0);
      this.counts.refused++;
      return;
    }
    this.counts[shares ? "sibling" : "add"]++;
    this.#alive.set(request.id, expect(request));
  }

  /** Something that may happen at any moment. */
  #disturb(roll: Roll, plan?: StepPlan): void {
    const some = this.#some(roll);
    if (some === undefined) return;
    const { id } = some.request;
    switch (roll(this.#options.calm ?? 24)) {
      case 0:
        if (!some.aborted) this.moments[momentOf(some, plan)]++;
        this.#d.scheduler.abort(id);
        some.aborted = true;
        this.counts.abort++;
        break;
      case 1:
      case 2:
        this.#d.scheduler.preempt(
          id,
          (["swap", "drop", "auto"] as const)[roll(3)]!,
        );
        this.counts.preempt++;
        break;
    }
    this.#take(this.#d.scheduler.ended());
  }

  /** Plans and runs a step, with trouble in it; false when nothing can run. */
  async #step(roll: Roll): Promise<boolean> {
    const { scheduler, cache } = this.#d;
    this.#settleHeld(roll);
    const now = this.#options.clock?.time ?? 0;
    const plan = scheduler.step();
    this.#take(scheduler.ended());
    for (const { request } of this.#alive.values()) {
      assert.ok((request.deadline ?? Infinity) > now, "past its deadline");
    }
    if (plan === undefined) return false;
    this.counts.step++;
    cache.check();
    for (let i = 0; i < plan.count; i++) {
      const e = this.#alive.get(plan.entries[i]!.request.id);
      if (e !== undefined) e.begun = true;
    }
    this.#disturb(roll, plan);
    try {
      const loading = cache.load(plan.reservation);
      if (loading !== undefined) await loading;
      if (roll(12) === 0) {
        this.counts.cancel++;
        this.#take(scheduler.cancel(plan));
        return true;
      }
      this.#d.run(plan);
    } catch (e) {
      if (!(e instanceof LostBlocks)) throw e;
      this.counts.lost++;
      this.#take(scheduler.lose(plan, e.lost));
      return true;
    }
    if (plan.restores) this.counts.restored++;
    if (plan.sweeps) this.counts.sweep++;
    this.#note(plan, roll);
    this.#disturb(roll, plan);
    this.#take(scheduler.done(plan));
    return true;
  }

  /** Writes down what a step gave, and lets some requests rest. */
  #note(plan: StepPlan, roll: Roll): void {
    for (let i = 0; i < plan.count; i++) {
      const e = plan.entries[i]!;
      const x = this.#alive.get(e.request.id);
      if (!e.samples || x === undefined) continue;
      for (let g = 0; g < plan.accepted[i]!; g++) x.tokens.push(e.guess(g));
      if (this.#options.holds && roll(9) === 0) {
        plan.holds[i] = 1;
        plan.stops[i] = 0;
        plan.sampled[i] = -1;
        x.held = true;
        this.counts.hold++;
      } else x.tokens.push(plan.sampled[i]!);
    }
  }

  /** What rests may be forked, and goes on some time. */
  #settleHeld(roll: Roll): void {
    for (const e of [...this.#alive.values()]) {
      if (!e.held || e.aborted) continue;
      if (this.#alive.size < 12 && roll(6) === 0) this.#fork(e);
      if (roll(3) === 0) this.#resume(e, roll);
    }
    this.#take(this.#d.scheduler.ended());
  }

  #fork(from: Expected): void {
    const id = `r${this.#names++}`;
    const { sharesWith: _, deadline: __, ...rest } = from.request;
    const request: GenRequest = { ...rest, id };
    this.#d.scheduler.fork(from.request.id, request);
    this.counts.fork++;
    this.#alive.set(id, {
      ...expect(request),
      tokens: [...from.tokens],
      chosen: new Map(from.chosen),
      held: true,
      forked: true,
    });
  }

  #resume(e: Expected, roll: Roll): void {
    const text = [...e.request.prompt, ...e.tokens];
    const own = roll(2) === 0;
    const token = own ? fakeNext(this.#d.plan, text) : roll(FAKE_VOCAB);
    e.chosen.set(e.tokens.length, token);
    e.tokens.push(token);
    e.held = false;
    e.ends = roll(16) === 0;
    this.#d.scheduler.resume(e.request.id, token, e.ends);
    this.counts.resume++;
  }

  #take(ended: readonly Finished[]): void {
    for (const f of ended) {
      const e = this.#alive.get(f.id);
      assert.ok(e, `"${f.id}" ended twice`);
      this.#alive.delete(f.id);
      this.#judge(f, e);
    }
  }

  #judge(f: Finished, e: Expected): void {
    const { stop = -1, clock } = this.#options;
    const { request, chosen, aborted, ends } = e;
    this.counts[f.reason]++;
    assert.notEqual(f.reason, "error", `"${f.id}": ${f.error?.message}`);
    const { prompt, maxTokens } = request;
    const text = [...prompt];
    f.tokens.forEach((token, i) => {
      const wanted = chosen.get(i) ?? fakeNext(this.#d.plan, text);
      assert.equal(token, wanted, `"${f.id}", token ${i} of ${f.tokens}`);
      const last = i === f.tokens.length - 1;
      const over = token === stop && !chosen.has(i);
      assert.ok(
        !over || (last && f.reason === "stop"),
        "goes on behind a stop",
      );
      text.push(token);
    });
    const last = f.tokens.at(-1);
    const all = f.tokens.length === maxTokens;
    if (f.reason === "length") assert.ok(all, `"${f.id}" ended early`);
    else if (f.reason === "stop") assert.ok(ends || last === stop);
    else if (f.reason === "aborted") assert.ok(aborted);
    else assert.ok(request.deadline! <= clock!.time);
    const whole = f.reason === "length" || f.reason === "stop";
    if (whole && !e.forked) this.#rowsOf(request);
  }

  /** Every row of the prompt that was wanted was given. */
  #rowsOf({ id, prompt, logits = "last" }: GenRequest): void {
    const first = logits === "all"
      ? 0
      : logits === "last"
      ? prompt.length - 1
      : logits;
    const given = new Set(this.#d.rows.get(id));
    for (let p = first; p < prompt.length; p++) {
      assert.ok(given.has(p), `"${id}" was not given the logits of row ${p}`);
    }
  }

  #some(roll: Roll): Expected | undefined {
    const all = [...this.#alive.values()];
    return all[roll(Math.max(1, all.length))];
  }
}

function expect(request: GenRequest): Expected {
  return {
    request,
    tokens: [],
    chosen: new Map(),
    held: false,
    begun: false,
    aborted: false,
    ends: false,
    forked: false,
  };
}

function momentOf(e: Expected, plan: StepPlan | undefined): keyof AbortMoments {
  for (let i = 0; i < (plan?.count ?? 0); i++) {
    if (plan!.entries[i]!.request === e.request) return "in a step";
  }
  if (e.held) return "held";
  if (!e.begun) return "waiting";
  return e.tokens.length === 0 ? "prefill" : "decode";
}
