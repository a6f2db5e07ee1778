/**
 * Chooses the rows of a step.
 *
 * @module
 */
import type { StepBatch } from "./backend.ts";
import type { Reservation, StepPart } from "./cache_types.ts";
import type { RequestState } from "./request_state.ts";
import type { GenRequest, StepEntry, StepPlan } from "./scheduler_types.ts";
import type { Drafter } from "./slots.ts";
import { stepEnd } from "./step_end.ts";
import type { SeqId } from "./types.ts";

/** How much fits in one step. */
export interface StepLimits {
  /** Most rows in a step. */
  readonly maxRows: number;
  /** Most requests in a step. */
  readonly maxSeqs: number;
  /** Most rows with logits in a step. */
  readonly maxWanted: number;
  /** See `SchedulerOptions`. */
  readonly sweepRows?: number | undefined;
  /** Guesses from this on are none. Default: no limit. */
  readonly vocab?: number;
}

/** An entry that the next step writes again; also the cache's Work. */
export class Entry implements StepEntry {
  state!: RequestState;
  request!: GenRequest;
  seq!: SeqId;
  kind: "prefill" | "decode" = "decode";
  row = 0;
  rows = 0;
  start = 0;
  wantedAt = 0;
  wanted = 0;
  drafts = 0;
  samples = false;
  tokens!: Int32Array;
  from = 0;
  to = 0;

  guess(i: number): number {
    return this.tokens[this.to - this.drafts + i]!;
  }
}

/** The plan that every step writes again. */
export class Plan implements StepPlan {
  reservation!: Reservation;
  rows = 0;
  wanted = 0;
  restores = false;
  sweeps = false;
  /** The last step that was done restored rows: others come first now. */
  restored = false;
  count = 0;
  readonly entries: Entry[] = [];
  readonly sampled: Int32Array;
  readonly stops: Uint8Array;
  readonly accepted: Int32Array;
  readonly holds: Uint8Array;
  /** Positions of each entry that stay; what commit() takes. */
  readonly kept: Int32Array;
  /** Guesses in all. */
  drafted = 0;
  readonly #limits: StepLimits;
  readonly #drafter: Drafter | undefined;
  readonly #stepTokens: readonly number[];
  /** It reads blocks of a request from tiers; of one, no more. */
  spills = false;

  /** `stepTokens`: see `CachePlan`. */
  constructor(
    limits: StepLimits,
    drafter?: Drafter,
    stepTokens: readonly number[] = [],
  ) {
    this.#stepTokens = stepTokens;
    this.#limits = limits;
    this.#drafter = drafter;
    this.sampled = new Int32Array(limits.maxSeqs);
    this.stops = new Uint8Array(limits.maxSeqs);
    this.accepted = new Int32Array(limits.maxSeqs);
    this.holds = new Uint8Array(limits.maxSeqs);
    this.kept = new Int32Array(limits.maxSeqs);
  }

  /**
   * Takes rows for running requests: one for each that decodes, then guesses
   * behind them, then prompts up to `chunk` rows each. `guesses`: whether there
   * may be any. Requests whose blocks are on their way are left out. Rows to be
   * restored have steps of their own, in turn with others. `sweeps`: a step may go
   * through layers part by part.
   */
  choose(
    running: readonly RequestState[],
    chunk: number,
    guesses: boolean,
    sweeps = false,
  ): void {
    this.rows = 0;
    this.wanted = 0;
    this.count = 0;
    this.drafted = 0;
    this.spills = false;
    this.sampled.fill(-1);
    this.stops.fill(0);
    this.accepted.fill(0);
    this.holds.fill(0);
    this.restores = !this.restored && this.#restore(running, chunk);
    if (this.restores) return;
    this.sweeps = sweeps && this.#canSweep(running, chunk);
    if (this.sweeps) return this.#sweep(running);
    this.#compute(running, chunk, guesses);
    this.restores = this.count === 0 && this.#restore(running, chunk);
  }

  /** Whether there is nothing to do but prompts, and more of them than a batch holds. */
  #canSweep(running: readonly RequestState[], chunk: number): boolean {
    const { maxRows, sweepRows = 0 } = this.#limits;
    if (sweepRows <= maxRows || chunk < maxRows) return false;
    if (this.#stepTokens.length > 0) return false;
    let rows = 0;
    for (const s of running) {
      if (s.coming) continue;
      const { logits = "last" } = s.request;
      if (s.decoding || s.spilled || logits !== "last") return false;
      rows += s.length - s.computed;
    }
    return rows > maxRows;
  }

  #sweep(running: readonly RequestState[]): void {
    const { maxRows, sweepRows = maxRows } = this.#limits;
    let part = 0, wanted = 0;
    for (const s of running) {
      if (s.coming || !this.#add(s, sweepRows, 0, sweepRows)) continue;
      const e = this.entries[this.count - 1]!;
      const of = Math.floor((e.row + e.rows - 1) / maxRows);
      if (of > part) wanted = 0;
      part = of;
      e.wantedAt = wanted;
      wanted += e.wanted;
    }
    // What others wait for may have left less than that.
    this.sweeps = this.rows > maxRows;
  }

  /** Rows of those that can be restored; whether there are any. */
  #restore(running: readonly RequestState[], chunk: number): boolean {
    for (const s of running) {
      if (isRestoring(s) && !s.coming) this.#add(s, chunk, 0);
    }
    return this.count > 0;
  }

  #compute(
    running: readonly RequestState[],
    chunk: number,
    guesses: boolean,
  ): void {
    const { maxRows, maxSeqs, maxWanted } = this.#limits;
    let decoding = 0, prompts = 0;
    for (const s of running) {
      if (s.coming || isRestoring(s)) continue;
      if (s.decoding) decoding++;
      else if (!s.held) prompts++;
    }
    decoding = Math.min(decoding, maxSeqs);
    // Prompts come before guesses: half of the rows, and a wanted row for each.
    let spare = guesses
      ? Math.min(prompts > 0 ? maxRows >> 1 : maxRows, maxWanted - prompts) -
        decoding
      : 0;
    for (const s of running) {
      if (!s.decoding || s.coming) continue;
      const drafts = spare > 0 ? this.#draft(s, spare) : 0;
      spare -= drafts;
      this.#add(s, 1 + drafts, drafts);
    }
    for (const s of running) {
      if (!s.decoding && !s.coming && !isRestoring(s)) this.#add(s, chunk, 0);
    }
  }

  /** Writes guesses behind a request's tokens; returns how many. */
  #draft(s: RequestState, spare: number): number {
    const drafter = this.#drafter;
    if (drafter === undefined || this.count === this.#limits.maxSeqs) return 0;
    // The token sampled behind the guesses is one more.
    const left = s.request.maxTokens - s.produced - 1;
    const end = stepEnd(s.computed, this.#stepTokens);
    const room = Math.min(drafter.most, spare, left, end - s.length);
    if (room < 1) return 0;
    s.room(room);
    const drafts = drafter.propose(s.history, s.length, room);
    const { vocab = Infinity } = this.#limits;
    for (let i = 0; i < room; i++) {
      const token = s.history[s.length + i]!;
      if (i + 1 > drafts || token < 0 || token >= vocab) return i;
    }
    return room;
  }

  /** Most rows of one request. */
  longest(): number {
    let rows = 0;
    for (let i = 0; i < this.count; i++) {
      rows = Math.max(rows, this.entries[i]!.rows);
    }
    return rows;
  }

  /** Whether there was room for rows of a request, of which it has some to compute. */
  #add(
    s: RequestState,
    chunk: number,
    drafts: number,
    maxRows: number = this.#limits.maxRows,
  ): boolean {
    const { maxSeqs, maxWanted } = this.#limits;
    if (this.count === maxSeqs || (s.spilled && this.spills)) return false;
    const prompt = s.promptLength;
    const left = maxWanted - this.wanted;
    let rows = Math.min(
      maxRows - this.rows,
      chunk,
      s.length + drafts - s.computed,
      stepEnd(s.computed, this.#stepTokens) - s.computed,
      turnEnd(s) - s.computed,
    );
    if (s.computed < s.forkAt) rows = Math.min(rows, s.forkAt - s.computed);
    const first = Math.max(s.computed, firstWanted(s.request));
    const every = first < prompt;
    // The rows that want logits stay together at the end of the entry.
    if (every) {
      rows = Math.min(rows, prompt - s.computed, first - s.computed + left);
    } else if (left === 0 && s.computed + rows === s.length) rows--;
    if (rows < 1) return false;
    const whole = s.computed + rows === s.length + drafts;
    const e = this.entries[this.count] ??= new Entry();
    if (s.spilled) this.spills = true;
    e.state = s;
    e.request = s.request;
    e.seq = s.seq!;
    e.kind = s.decoding ? "decode" : "prefill";
    e.row = this.rows;
    e.rows = rows;
    e.start = s.computed;
    e.wantedAt = this.wanted;
    e.wanted = every
      ? Math.max(0, s.computed + rows - first)
      : whole
      ? 1 + drafts
      : 0;
    e.drafts = drafts;
    this.drafted += drafts;
    e.samples = whole && s.produced < s.request.maxTokens;
    e.tokens = s.history;
    e.from = s.computed;
    e.to = s.computed + rows;
    this.count++;
    this.rows += rows;
    this.wanted += e.wanted;
    return true;
  }
}

/** Whether the next rows of a request are there as hidden states. */
function isRestoring({ restores, computed }: RequestState): boolean {
  return restores !== undefined && computed >= restores.start &&
    computed < restores.end;
}

/** Where rows that are computed give way to such that are restored, or the other way. */
function turnEnd({ restores, computed }: RequestState): number {
  if (restores === undefined || computed >= restores.end) return Infinity;
  return computed < restores.start ? restores.start : restores.end;
}

/** First position of a prompt whose logits are wanted beside the last's. */
function firstWanted({ logits = "last" }: GenRequest): number {
  return logits === "last" ? Infinity : logits === "all" ? 0 : logits;
}

/** Writes the rows whose logits a plan wants into the batch, those of a part of it. */
export function fillWanted(
  plan: StepPlan,
  batch: StepBatch,
  { from, to }: StepPart = { from: 0, to: Infinity },
): void {
  if (plan.wanted > batch.wantedRows.length) {
    throw new RangeError(
      `Cannot fill a batch with ${plan.wanted} wanted rows: it has room for ${batch.wantedRows.length}`,
    );
  }
  let at = 0;
  for (let i = 0; i < plan.count; i++) {
    const e = plan.entries[i]!;
    for (let r = e.rows - e.wanted; r < e.rows; r++) {
      const row = e.row + r;
      if (row >= from && row < to) batch.wantedRows[at++] = row - from;
    }
  }
  batch.wanted = at;
}
