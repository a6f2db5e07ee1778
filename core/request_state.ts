/**
 * One request inside the scheduler.
 *
 * @module
 */
import type { Restorable } from "./checkpoints.ts";
import type {
  Finished,
  FinishReason,
  GenRequest,
  GiveWay,
} from "./scheduler_types.ts";
import type { Miss } from "./slots.ts";
import type { SeqId } from "./types.ts";

/**
 * A request and all its tokens. A request that gave way keeps them: coming
 * back, prompt and sampled tokens are computed like a longer prompt.
 */
export class RequestState {
  readonly request: GenRequest;
  /** Place in the order of arrival; kept when it gives way. */
  readonly order: number;
  /** Tokens of the prompt; the caller's array may change. */
  readonly promptLength: number;
  /** Prompt, then sampled tokens: `history[0 .. length)`. */
  history: Int32Array;
  length: number;
  /** The sequence while running, or swapped out. */
  seq: SeqId | undefined;
  /** How many of `length` are computed. */
  computed = 0;
  /** What happens to it when the step that holds it is over. */
  leaving: "aborted" | GiveWay | undefined;
  /** Bytes of blocks it took when computed up to `length`, as it was admitted. */
  bytes = 0;
  /** Bytes of it that others use, as of the cache's `changes`. */
  found = 0;
  foundAt = -1;
  /** Its next token is not known yet; it rests. */
  held = false;
  /** Some of its blocks are on their way to the device; it need not run before. */
  coming = false;
  /** What tiers have of it was brought nearer while it waited. */
  promoted = false;
  /** Some of its blocks are in a tier, where steps read them. */
  spilled = false;
  /** Where it can be restored next; undefined: nobody has looked, or it is over. */
  restores: Restorable | undefined;
  /** How often tiers have lost blocks of it; in a row, without getting any further. */
  losses = 0;
  stalled = 0;
  /** How far it had come when that happened last. */
  lostAt = -1;
  /** Requests with the same prompt, itself among them; alone where undefined. */
  family: RequestState[] | undefined;
  /** What was there when it first began, and why not more. */
  cached = -1;
  miss: Miss | undefined;
  /** Positions that were computed once. */
  reached = 0;

  constructor(request: GenRequest, order: number) {
    this.request = request;
    this.order = order;
    this.promptLength = request.prompt.length;
    this.length = this.promptLength;
    this.history = new Int32Array(this.length + 64);
    this.history.set(request.prompt);
  }

  /** Tokens sampled so far. */
  get produced(): number {
    return this.length - this.promptLength;
  }

  /** Only the newest token is not computed. */
  get decoding(): boolean {
    return this.produced > 0 && this.computed === this.length - 1;
  }

  /** Rows of its prompt up to here are computed first, so that others can fork. */
  get forkAt(): number {
    return this.family === undefined ? 0 : this.promptLength - 1;
  }

  /** Makes room for `more` tokens behind `length`. */
  room(more: number): void {
    if (this.length + more <= this.history.length) return;
    const larger = new Int32Array(this.length * 2 + more);
    larger.set(this.history);
    this.history = larger;
  }

  /** Appends a sampled token. */
  push(token: number): void {
    this.room(1);
    this.history[this.length++] = token;
  }

  /** Takes it out of its family: its memory and tokens are no longer of use there. */
  leave(): void {
    const { family } = this;
    if (family === undefined) return;
    this.family = undefined;
    family.splice(family.indexOf(this), 1);
    if (family.length === 1) family[0]!.family = undefined;
  }

  /** What the caller gets in the end. */
  finished(reason: FinishReason, error?: Error): Finished {
    const { id } = this.request;
    const tokens = [...this.history.subarray(this.promptLength, this.length)];
    return {
      id,
      tokens,
      reason,
      cached: Math.max(0, this.cached),
      miss: this.miss,
      ...(error === undefined ? {} : { error }),
    };
  }
}

/** Puts a state where its order says. */
export function insert(list: RequestState[], state: RequestState): void {
  let at = list.length;
  while (at > 0 && list[at - 1]!.order > state.order) at--;
  list.splice(at, 0, state);
}

/** Takes a state out; nothing happens when it is not there. */
export function remove(list: RequestState[], state: RequestState): void {
  const at = list.indexOf(state);
  if (at >= 0) list.splice(at, 1);
}
