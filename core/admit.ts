/**
 * Whether there is room for one more request. An estimate: who was let in too
 * early gives way again, so a wrong one costs time and never a request.
 *
 * @module
 */
import type { KVCache } from "./cache.ts";
import type { RequestState } from "./request_state.ts";

/** What running requests are going to take soon. */
export interface Load {
  /** Rows until all of them decode. */
  rows: number;
  /** Bytes until then, and of one more block each. */
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
  load.bytes += cache.peakBytes(1, 1) +
    Math.ceil((s.bytes * (left - 1)) / s.length);
}

/** Whether a request finds room beside the load, its next block included. */
export function fits(load: Load, s: RequestState, cache: KVCache): boolean {
  return load.bytes + s.bytes + cache.peakBytes(1, 1) <= cache.available;
}

/** Opens the request's sequence, with what is cached of it. */
export function start(s: RequestState, cache: KVCache): void {
  const { seq, cached } = cache.open(s.history.subarray(0, s.length), {
    reuse: (s.request.logits ?? "last") === "last",
  });
  s.seq = seq;
  s.computed = cached;
}

/** Waiting requests as the `admission` slot orders them; strangers are left out. */
export function ordered(
  waiting: readonly RequestState[],
  cache: KVCache,
): readonly RequestState[] {
  const requests = waiting.map((s) => s.request);
  const out: RequestState[] = [];
  for (const r of cache.plan.admission.order(requests, cache.stat())) {
    const s = waiting.find((w) => w.request === r);
    if (s !== undefined && !out.includes(s)) out.push(s);
  }
  return out;
}
