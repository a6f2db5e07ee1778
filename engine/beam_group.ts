/**
 * Beam search over the step loop: each live hypothesis is a request that rests
 * after every row, until all of them have theirs and are compared.
 *
 * ```text
 *  row of each ─▶ hold ─▶ … ─▶ all rest ─▶ compare ─┬▶ abort those that end
 *                                                   ├▶ fork those that split
 *                                                   └▶ resume with their tokens
 * ```
 *
 * @module
 */
import type { StepResult } from "../core/backend.ts";
import type { GenRequest } from "../core/scheduler_types.ts";
import type { Miss } from "../core/slots.ts";
import type { BeamCandidates, BeamSearch } from "./beams.ts";
import type { Ended, Job } from "./job.ts";
import { logTotal } from "./log_total.ts";
import type { Loop } from "./loop.ts";

/** What a group is made of. */
export interface BeamGroupParts {
  readonly loop: Loop;
  readonly search: BeamSearch;
  /** Of the first hypothesis; the others are called after it. */
  readonly request: GenRequest;
  readonly signal: AbortSignal | undefined;
}

/** One beam search that runs. */
export class BeamGroup {
  /** Resolves when the search is over; rejects with what ended it. */
  readonly done: Promise<void>;
  /** Positions of the prompt that were there, and why not more. */
  cached = 0;
  miss: Miss | undefined;
  /** When the first and the last tokens were chosen. */
  firstAt = 0;
  lastAt = 0;
  readonly #parts: BeamGroupParts;
  /** Live hypotheses, as the search counts them. */
  #members: Member[] = [];
  readonly #candidates: BeamCandidates[] = [];
  #arrived = 0;
  #names = 0;
  #over = false;
  #resolve!: () => void;
  #reject!: (error: unknown) => void;

  /** Begins with the prompt. Throws what `Loop.add()` does. */
  constructor(parts: BeamGroupParts) {
    this.#parts = parts;
    this.done = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
    const first = new Member(this, parts.request.id, 0);
    this.#members.push(first);
    parts.loop.add(parts.request, first, parts.signal);
  }

  /** How many candidates each row brings. */
  get top(): number {
    return this.#parts.search.candidatesWanted;
  }

  /** Keeps the best of a row for the comparison. */
  arrive(slot: number, i: number, result: StepResult): void {
    const { top } = this;
    const kept = this.#candidates[slot] ??= {
      ids: new Int32Array(top),
      logProbs: new Float64Array(top),
    };
    const total = logTotal(result.logits(i));
    const ids = result.topIds(i), logits = result.topLogits(i);
    for (let k = 0; k < top; k++) {
      kept.ids[k] = k < ids.length ? ids[k]! : -1;
      kept.logProbs[k] = logits[k]! - total;
    }
    this.#arrived++;
  }

  /** Compares once all rest, and says who goes on with what. */
  settle(): void {
    if (this.#over || this.#arrived < this.#members.length) return;
    const { loop, search, request, signal } = this.#parts;
    this.#arrived = 0;
    this.lastAt = performance.now();
    if (this.firstAt === 0) this.firstAt = this.lastAt;
    search.step(this.#candidates);
    if (search.done) return this.end();
    const old = this.#members, next: Member[] = [];
    const taken = new Uint8Array(old.length);
    for (let i = 0; i < search.live; i++) taken[search.parents[i]!] = 1;
    // First those that end: their memory may be needed by the others.
    for (const [slot, member] of old.entries()) {
      if (taken[slot] === 0) this.#drop(member);
    }
    for (let i = 0; i < search.live; i++) {
      const parent = old[search.parents[i]!]!;
      if (!next.includes(parent)) {
        next.push(parent);
        continue;
      }
      const id = `${request.id}/${++this.#names}`;
      const made = new Member(this, id, i);
      loop.fork(parent.id, { ...request, id }, made, signal);
      next.push(made);
      // Whatever fails next ends this one too.
      this.#members.push(made);
    }
    this.#members = next;
    for (const [slot, member] of next.entries()) {
      member.slot = slot;
      loop.resume(member.id, search.tokens[slot]!);
    }
  }

  /** A member ended by itself: the search cannot go on, or has no time left. */
  lost(member: Member, { reason, cached, miss }: Ended, error: unknown): void {
    if (cached !== undefined && member === this.#members[0]) {
      this.cached = cached;
      this.miss = miss;
    }
    if (this.#over || !this.#members.includes(member)) return;
    this.#over = true;
    this.#members.forEach((m) => this.#parts.loop.abort(m.id));
    if (reason === "aborted" && error === undefined) {
      error = new DOMException("The request was ended", "AbortError");
    }
    if (reason === "deadline") {
      error = new DOMException(
        "Cannot finish the beam search: its deadline is over",
        "TimeoutError",
      );
    }
    this.#reject(error ?? new Error("Cannot finish the beam search"));
  }

  /** Ends what still runs. */
  end(): void {
    if (this.#over) return;
    this.#over = true;
    for (const member of this.#members) this.#parts.loop.abort(member.id);
    this.#resolve();
  }

  #drop(member: Member): void {
    this.#members = this.#members.filter((m) => m !== member);
    this.#parts.loop.abort(member.id);
  }
}

/** One hypothesis, as the loop sees it. */
class Member implements Job {
  readonly id: string;
  /** Which of the live ones. */
  slot: number;
  readonly #group: BeamGroup;

  constructor(group: BeamGroup, id: string, slot: number) {
    this.#group = group;
    this.id = id;
    this.slot = slot;
  }

  get top(): number {
    return this.#group.top;
  }

  rows(): void {}

  hold(i: number, result: StepResult): void {
    this.#group.arrive(this.slot, i, result);
  }

  settle(): void {
    this.#group.settle();
  }

  sample(): number {
    throw new TypeError("Cannot sample: a beam search compares");
  }

  take(): boolean {
    return true;
  }

  ended(how: Ended, error: unknown): void {
    this.#group.lost(this, how, error);
  }
}
