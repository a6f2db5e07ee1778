/**
 * When tokens arrive, as their reader sees it.
 *
 * @module
 */
import type { Engine } from "../engine/engine.ts";

/** From when, and until when. */
export interface TimingOptions {
  /** What times count from, as `performance.now()` gives it. Default: now. */
  readonly start?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Milliseconds from `start` to the arrival of each of `make` tokens, greedy,
 * ends of text ignored.
 *
 * @throws {Error} if fewer tokens come.
 */
export async function tokenTimes(
  engine: Engine,
  tokens: readonly number[],
  make: number,
  { start = performance.now(), signal }: TimingOptions = {},
): Promise<number[]> {
  const times: number[] = [];
  const request = { tokens, maxTokens: make, ignoreEos: true, signal };
  for await (const part of engine.generate(request)) {
    const at = performance.now() - start;
    for (let i = 0; i < part.tokens.length; i++) times.push(at);
  }
  if (times.length !== make) {
    throw new Error(
      `Cannot time a request: ${times.length} of ${make} tokens came`,
    );
  }
  return times;
}

/** Tokens per second between the arrivals of tokens `from` and `to`. */
export function rateBetween(
  times: readonly number[],
  from = 0,
  to: number = times.length - 1,
): number {
  return perSecond(to - from, times[to]! - times[from]!);
}

/** `count` in `ms` milliseconds, per second; a clock's tick is the least time. */
export function perSecond(count: number, ms: number): number {
  return count * 1000 / Math.max(ms, 1e-3);
}

/** Rates of requests that ran together, tokens/s. */
export interface BatchRates {
  /** All tokens over all the time. */
  readonly all: number;
  /** Only while every request decodes: after the last first token, up to the first last one. */
  readonly decoding: number;
}

/** Rates of requests that began together, from the arrival times of each. */
export function batchRates(
  requests: readonly (readonly number[])[],
): BatchRates {
  const from = Math.max(...requests.map((times) => times[0]!));
  const to = Math.min(...requests.map((times) => times.at(-1)!));
  const end = Math.max(...requests.map((times) => times.at(-1)!));
  let all = 0, decoding = 0;
  for (const times of requests) {
    all += times.length;
    for (const t of times) if (t > from && t <= to) decoding++;
  }
  return {
    all: perSecond(all, end),
    decoding: to > from ? perSecond(decoding, to - from) : perSecond(all, end),
  };
}
