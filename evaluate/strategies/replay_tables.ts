/**
 * Runs of a replay as tables and figures.
 *
 * @module
 */
import { median } from "../statistics.ts";
import { mean, type Percentiles } from "./percentiles.ts";
import { mebibytes, number, percent, type Table } from "./report.ts";
import type { Budget } from "./replay_budget.ts";
import { type Pace, type Ran, runFigures } from "./replay_run.ts";
import type { Arrival } from "./traces.ts";

/** All runs of one kind of requests. */
export interface Runs {
  /** How its lengths come from the trace's. */
  readonly kind: string;
  readonly requests: readonly Arrival[];
  readonly budget: Budget;
  readonly runs: readonly Ran[];
  /** Requests of all batched runs whose tokens are those they have alone. */
  readonly equal: number;
  readonly compared: number;
}

/** The median time of the runs of a pace, ms. */
export function medianMs(runs: readonly Ran[], pace: Pace): number {
  return median(of(runs, pace).map((r) => r.ms));
}

function of(runs: readonly Ran[], pace: Pace): readonly Ran[] {
  return runs.filter((r) => r.pace === pace);
}

/** The run of the median time. */
function typical(runs: readonly Ran[], pace: Pace): Ran {
  const sorted = of(runs, pace).toSorted((a, b) => a.ms - b.ms);
  return sorted[(sorted.length - 1) >> 1]!;
}

const PACES: readonly Pace[] = [
  "one at a time",
  "all at once",
  "as they arrive",
];

/** A table of the typical runs. */
export function replayTable({ kind, requests, budget, runs }: Runs): Table {
  const shown = PACES.map((pace) => typical(runs, pace));
  const numbers = shown.map(runFigures);
  const three = (p: Percentiles | undefined): string =>
    p === undefined ? "–" : [p.p50, p.p95, p.p99].map(number).join(" / ");
  const prompt = mean(requests.map((r) => r.prompt));
  const make = mean(requests.map((r) => r.make));
  return {
    title: `${requests.length} requests, ${kind}: ${
      number(prompt)
    } tokens in, ${number(make)} out on average; memory for ${
      number(budget.holds)
    } of them (${mebibytes(budget.kvBytes)} MiB)`,
    head: ["", ...PACES],
    rows: [
      ["requests/s", ...numbers.map((n) => number(n.requestsPerSecond))],
      [
        "tokens/s, in and out",
        ...numbers.map((n) => number(n.tokensPerSecond)),
      ],
      ["tokens/s, out", ...numbers.map((n) => number(n.madePerSecond))],
      ["TTFT p50 / p95 / p99, ms", ...numbers.map((n) => three(n.ttft))],
      ["TPOT p50 / p95 / p99, ms", ...numbers.map((n) => three(n.tpot))],
      ["seconds", ...shown.map((r) => number(r.ms / 1000))],
      ["CPU seconds", ...shown.map((r) => number(r.cpuMs / 1000))],
      ["steps", ...shown.map((r) => String(r.steps))],
      ["gave way", ...shown.map((r) => String(r.preempted))],
      ["positions computed again", ...shown.map((r) => String(r.recomputed))],
    ],
  };
}

function speedUp(runs: readonly Ran[]): number {
  return medianMs(runs, "one at a time") / medianMs(runs, "all at once");
}

/**
 * The share of one at a time that goes into prompts. A prompt has rows enough to
 * fill every core alone, so batching helps the rest only.
 */
export function promptShare(runs: readonly Ran[]): number {
  let first = 0, last = 0;
  for (const { answers } of of(runs, "one at a time")) {
    for (const a of answers) {
      first += a.firstMs;
      last += a.lastMs;
    }
  }
  return first / last;
}

/** What to say about them. */
export function replayNotes({ kind, runs, equal, compared }: Runs): string[] {
  return [
    `${kind}: all at once is ${
      speedUp(runs).toFixed(2)
    }× one at a time (medians of ${
      of(runs, "all at once").length
    } runs in turn); ${equal} of ${compared} answers have the tokens they have alone.`,
    `${kind}: one at a time is ${
      percent(promptShare(runs))
    } prompts, which fill every core alone: were all the rest free, it would be ${
      (1 / promptShare(runs)).toFixed(2)
    }× as fast.`,
  ];
}

/** The same as data. */
export function replayFigures(
  { kind, requests, budget, runs, equal, compared }: Runs,
): Record<string, unknown> {
  return {
    kind,
    requests,
    budget,
    speedUp: speedUp(runs),
    promptShare: promptShare(runs),
    equal,
    compared,
    runs: runs.map((run) => ({
      ...run,
      answers: undefined,
      ...runFigures(run),
    })),
  };
}
