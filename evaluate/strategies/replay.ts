/**
 * `replay`: requests of a trace through memory that holds a few of them, against
 * one at a time.
 *
 * @module
 */
import { join } from "node:path";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import type { LoadOptions } from "../../engine/options.ts";
import { sameTokens } from "./answer.ts";
import type { StrategyOptions } from "./options.ts";
import { number, type Report } from "./report.ts";
import { budgetFor } from "./replay_budget.ts";
import { type Ran, runAll, type Wanted } from "./replay_run.ts";
import {
  medianMs,
  replayFigures,
  replayNotes,
  replayTable,
  type Runs,
} from "./replay_tables.ts";
import { type NextSlice, slicesOf } from "./texts.ts";
import { type Arrival, positions, readTrace, scaled } from "./traces.ts";

/** Lengths of the trace are divided by this. */
const SCALE = 8;

/** Requests arrive at this share of what was done when all came at once. */
const LOAD = 0.8;

/** Requests with the same lengths in another relation, for comparison. */
const KINDS = {
  "as in the trace": (a: Arrival): Arrival => a,
  "answers × 8": ({ at, prompt, make }: Arrival): Arrival => ({
    at,
    prompt,
    make: make * 8,
  }),
  "prompts and answers swapped": ({ at, prompt, make }: Arrival): Arrival => ({
    at,
    prompt: make,
    make: prompt,
  }),
};

type Kind = keyof typeof KINDS;

/** Runs the benchmark. */
export async function replayReport(
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const trace = await readTrace(join(options.data, "traces"), "az_code");
  const requests = scaled(
    trace.slice(0, options.requests ?? 64),
    (options.sizes?.scale ?? 1) / SCALE,
  );
  const all: Runs[] = [];
  for (const kind of Object.keys(KINDS) as Kind[]) {
    all.push(
      await runKind(kind, requests.map(KINDS[kind]), options, (line) => {
        tell(`${kind}: ${line}`);
      }),
    );
  }
  return {
    tables: all.map(replayTable),
    notes: all.flatMap(replayNotes),
    figures: { kinds: all.map(replayFigures) },
  };
}

async function runKind(
  kind: Kind,
  requests: readonly Arrival[],
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Runs> {
  const { model, threads, data, held = 8, rounds } = options;
  const longest = Math.max(...requests.map(positions)) + 1;
  const how: LoadOptions = { threads, context: longest };
  const budget = await budgetFor(model, how, requests, held);
  const limited = { ...how, budget: budget.loadBytes };
  // Engines of their own, so that neither finds what the other computed.
  await using alone = await load(model, limited);
  await using together = await load(model, limited);
  const next = await slicesOf(data, alone.tokenizer);
  const wanted = requests.map(({ at, prompt, make }) => ({
    at,
    make,
    tokens: next(prompt),
  }));
  for (const engine of [alone, together]) await warmUp(engine, next, longest);
  const runs: Ran[] = [];
  const done = (ran: Ran): void => {
    runs.push(ran);
    tell(
      `${ran.pace}: ${number(ran.ms / 1000)} s, ${
        number(ran.cpuMs / 1000)
      } s of CPU, ${ran.steps} steps, ${ran.recomputed} positions again`,
    );
  };
  // In turn, so that a drift of the machine falls on both.
  for (let r = 0; r < rounds; r++) {
    done(await runAll(alone, wanted, "one at a time"));
    done(await runAll(together, wanted, "all at once"));
  }
  const ms = medianMs(runs, "all at once");
  done(await runAll(together, paced(wanted, ms / LOAD), "as they arrive"));
  const truth = runs[0]!.answers;
  const compared = runs.filter((r) => r.pace !== "one at a time")
    .flatMap((r) =>
      r.answers.map((a, i) => sameTokens(a.tokens, truth[i]!.tokens))
    );
  const equal = compared.filter((same) => same).length;
  return { kind, requests, budget, runs, equal, compared: compared.length };
}

async function warmUp(
  engine: Engine,
  next: NextSlice,
  longest: number,
): Promise<void> {
  const tokens = next(Math.min(128, longest - 1));
  const wanted = [{
    tokens,
    make: Math.min(24, longest - tokens.length),
    at: 0,
  }];
  await runAll(engine, wanted, "one at a time");
}

/** Arrivals over `ms` instead of the trace's own time. */
function paced(wanted: readonly Wanted[], ms: number): Wanted[] {
  const span = Math.max(1, wanted.at(-1)?.at ?? 1);
  return wanted.map((w) => ({ ...w, at: w.at / span * ms }));
}
