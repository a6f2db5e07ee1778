/**
 * Requests of a trace on an engine: one at a time, all at once, or as they
 * arrive; and what their readers saw.
 *
 * @module
 */
import process from "node:process";
import type { Engine } from "../../engine/engine.ts";
import { type Answer, answer, perToken } from "./answer.ts";
import { type Percentiles, percentiles } from "./percentiles.ts";

/** A request to run. */
export interface Wanted {
  readonly tokens: readonly number[];
  readonly make: number;
  /** Milliseconds after the start. */
  readonly at: number;
}

/** How requests come. */
export type Pace = "one at a time" | "all at once" | "as they arrive";

/** What one run of all requests gave. */
export interface Ran {
  readonly pace: Pace;
  readonly answers: readonly Answer[];
  /** Milliseconds from the start to the last token. */
  readonly ms: number;
  /** Milliseconds of all cores that this process used meanwhile. */
  readonly cpuMs: number;
  /** Steps of the run, preemptions, and positions computed again after those. */
  readonly steps: number;
  readonly preempted: number;
  readonly recomputed: number;
}

/** A run in numbers. */
export interface RunFigures {
  readonly requestsPerSecond: number;
  /** Tokens of prompts and answers, and of answers alone. */
  readonly tokensPerSecond: number;
  readonly madePerSecond: number;
  /** Milliseconds. */
  readonly ttft: Percentiles;
  /** Milliseconds of a token after the first; of answers with two or more. */
  readonly tpot: Percentiles | undefined;
}

/** Runs every request; nothing of earlier runs is found in the cache. */
export async function runAll(
  engine: Engine,
  wanted: readonly Wanted[],
  pace: Pace,
): Promise<Ran> {
  engine.cache.evictIdle();
  const before = engine.scheduler.stat();
  const cpu = process.cpuUsage();
  const start = performance.now();
  const one = ({ tokens, make }: Wanted): Promise<Answer> =>
    answer(engine, { tokens, maxTokens: make });
  const answers: Answer[] = [];
  if (pace === "one at a time") {
    for (const request of wanted) answers.push(await one(request));
  } else {
    answers.push(
      ...await Promise.all(wanted.map(async (request) => {
        const wait = pace === "all at once"
          ? 0
          : start + request.at - performance.now();
        if (wait > 0) await new Promise((done) => setTimeout(done, wait));
        return await one(request);
      })),
    );
  }
  const ms = performance.now() - start, after = engine.scheduler.stat();
  const { user, system } = process.cpuUsage(cpu);
  return {
    pace,
    answers,
    ms,
    cpuMs: (user + system) / 1000,
    steps: after.steps - before.steps,
    preempted: after.preempted - before.preempted,
    recomputed: after.recomputed - before.recomputed,
  };
}

/** The numbers of a run. */
export function runFigures(
  { answers, ms }: Pick<Ran, "answers" | "ms">,
): RunFigures {
  const seconds = ms / 1000;
  let made = 0, prompts = 0;
  for (const { tokens, usage } of answers) {
    made += tokens.length;
    prompts += usage.promptTokens;
  }
  const tpots = answers.map(perToken).filter((t) => t !== undefined);
  return {
    requestsPerSecond: answers.length / seconds,
    tokensPerSecond: (made + prompts) / seconds,
    madePerSecond: made / seconds,
    ttft: percentiles(answers.map((a) => a.firstMs)),
    tpot: tpots.length > 0 ? percentiles(tpots) : undefined,
  };
}
