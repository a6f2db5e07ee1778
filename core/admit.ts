/**
 * Whether there is room for one more request. An estimate: who was let in too
 * early gives way again, so a wrong one costs time and never a request.
 *
 * @module
 */
import { saltOf } from "./adapters.ts";
import type { KVCache } from "./cache.ts";
import type { Restorable } from "./cache_types.ts";
import type { RequestState } from "./request_state.ts";
import type { GenRequest } from "./scheduler_types.ts";

/** A request of which tiers have lost something so often does without them. */
export const MOST_LOSSES = 2;

/** What running requests are going to take soon. */
export interface Load {
  /** Rows until all of them decode. */
  rows: number;
  /** Bytes until then, and of one more block for each that may need it. */
  bytes: number;
}

/** The load of all that run. */
export function measure(
  running: readonly RequestState[],
  cache: KVCache,
): Load {
  const load = { rows: 0, bytes: 0 };
  for (const s of running) add(load, s, cache);
  return load;
}

/** Adds what one request is going to take. */
export function add(load: Load, s: RequestState, cache: KVCache): void {
  const left = s.length - s.computed;
  load.rows += left;
  load.bytes += cache.growthBytes(s.computed, lastLength(s)) +
    Math.ceil((s.bytes * (left - 1)) / s.length);
}

/** Positions it computes in the end, if nothing stops it before. */
function lastLength({ promptLength, request }: RequestState): number {
  return promptLength + Math.max(0, request.maxTokens - 1);
}

/** Whether a request finds room beside the load, its next block included. */
export function fits(
  load: Load,
  s: RequestState,
  from: Origin | undefined,
  cache: KVCache,
  watermark: number,
): boolean {
  // What it shares as a fork is there, but for the block both write to.
  const shared = from === undefined ? 0 : cache.peakBytes(from.at, 1, "blocks");
  const block = cache.peakBytes(1, 1, "blocks");
  const bytes = Math.max(block, s.bytes - shared + (shared > 0 ? block : 0));
  const growth = cache.growthBytes(s.length, lastLength(s));
  const missing = load.bytes + bytes + growth + watermark - cache.available;
  if (missing <= 0) return true;
  // What others use already takes no memory again; looking for it takes time.
  if (shared > 0 || s.seq !== undefined || !mayReuse(s)) return false;
  if (s.foundAt !== cache.changes) {
    s.foundAt = cache.changes;
    s.found = cache.sharedBytes(
      s.history.subarray(0, s.length),
      saltOf(s.request),
    );
  }
  return missing <= s.found;
}

/** Where a request may begin as a fork: `at` positions of a relative. */
export interface Origin {
  readonly relative: RequestState;
  readonly at: number;
}

/**
 * The relative that has most of what a request is to compute; undefined where it
 * has to begin by itself, "wait" where a relative is still on its way there.
 */
export function originOf(
  s: RequestState,
  cache: KVCache,
): Origin | "wait" | undefined {
  let best: Origin | undefined;
  if (s.seq !== undefined || !mayReuse(s)) return undefined;
  for (const relative of s.family ?? []) {
    if (relative === s || relative.seq === undefined) continue;
    const common = commonLength(relative, s);
    if (relative.computed < Math.min(common, s.forkAt)) return "wait";
    const at = cache.forkLength(
      relative.seq,
      Math.min(common, relative.computed),
    );
    if (at > (best?.at ?? 0)) best = { relative, at };
  }
  return best;
}

/** Whether no logits of its prompt are wanted but the last's. */
function mayReuse({ request }: RequestState): boolean {
  return (request.logits ?? "last") === "last";
}

/** Tokens both have, without the last of `s`, whose logits it wants. */
function commonLength(a: RequestState, s: RequestState): number {
  const most = Math.min(a.length, s.length - 1);
  let n = Math.min(s.promptLength, most);
  while (n < most && a.history[n] === s.history[n]) n++;
  return n;
}

/**
 * Opens the request's sequence: as a fork, or with what is cached of it. One that
 * was swapped out comes back; false where it has no room to.
 */
export function start(
  s: RequestState,
  from: Origin | undefined,
  cache: KVCache,
): boolean {
  const { request } = s;
  if (s.seq !== undefined) {
    if (!cache.comeBack(s.seq)) return false;
  } else if (from === undefined) {
    const { seq, cached, miss } = cache.open(s.history.subarray(0, s.length), {
      reuse: mayReuse(s),
      tiers: s.losses < MOST_LOSSES,
      salt: saltOf(request),
      adapters: request.adapters,
      priority: request.cachePriority ?? 0,
    });
    s.seq = seq;
    s.computed = cached;
    if (s.cached < 0) s.miss = miss;
  } else {
    s.seq = cache.fork(from.relative.seq!, from.at);
    s.computed = from.at;
  }
  if (s.cached < 0) s.cached = Math.min(s.computed, s.promptLength);
  cache.summon(s.seq);
  s.coming = cache.isComing(s.seq);
  return true;
}

/** Where the next rows of a running request can be restored; its last never is. */
export function restorable(
  s: RequestState,
  cache: KVCache,
): Restorable | undefined {
  if (!mayReuse(s)) return undefined;
  const { history, length, forkAt } = s;
  // Relatives begin as forks of it at that place.
  const end = s.computed < forkAt ? forkAt : length - 1;
  return cache.restorable(s.seq!, history, end);
}

/** Waiting requests as the `admission` slot orders them; strangers are left out. */
export function ordered(
  waiting: readonly RequestState[],
  cache: KVCache,
): readonly RequestState[] {
  const ready = new Map<GenRequest, RequestState>();
  for (const s of waiting) if (!s.held) ready.set(s.request, s);
  const requests = [...ready.keys()];
  const out: RequestState[] = [];
  for (const r of cache.plan.admission.order(requests, cache.stat(true))) {
    const s = ready.get(r);
    // Each once, however often it was named.
    if (s !== undefined && ready.delete(r)) out.push(s);
  }
  return out;
}
