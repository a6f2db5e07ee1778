/**
 * Engines timed in turn on the same prompts, so that what disturbs one disturbs all.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { promptsOf, warmUp } from "../speed_cases.ts";
import type { NextPrompt } from "../speed_prompts.ts";
import { perSecond, rateBetween, tokenTimes } from "../speed_timing.ts";
import { median } from "../statistics.ts";
import type { StrategyOptions } from "./options.ts";
import { quantile } from "./percentiles.ts";
import { number, type Table } from "./report.ts";

/** What is timed: a prompt, and tokens after it. */
export interface Timed {
  readonly name: string;
  readonly prompt: number;
  /** Tokens made; 1 times the prompt alone. */
  readonly make: number;
}

/** Tokens of which one value is made: short, so that a disturbance spoils few. */
const SEGMENT = 32;

/** One way to load the model, its engine and what it reached, tokens/s. */
export interface Contestant {
  readonly name: string;
  readonly engine: Engine;
  readonly prompt: NextPrompt;
  readonly values: Map<Timed, number[]>;
}

/** Who takes part: a name and its plugins. */
export type Entrant = readonly [name: string, plugins: readonly Plugin[]];

/** Who took part, and in what. */
export interface Contest {
  readonly all: readonly Contestant[];
  /** What fits the context. */
  readonly timed: readonly Timed[];
  readonly context: number;
}

/**
 * Loads all entrants, for `engines` to close, and times them round by round, in as
 * much of `what` as the model's context has room for.
 */
export async function contest(
  options: StrategyOptions,
  entrants: (context: number) => readonly Entrant[],
  what: readonly Timed[],
  engines: AsyncDisposableStack,
  tell: (line: string) => void,
): Promise<Contest> {
  const { model, threads, rounds } = options;
  const context = await contextOf(options);
  const timed = what.filter((t) => t.prompt + t.make <= context);
  const all: Contestant[] = [];
  for (const [name, plugins] of entrants(context)) {
    const how = { threads, context, plugins };
    const engine = engines.use(await load(model, how));
    const prompt = promptsOf(engine, 1);
    all.push({ name, engine, prompt, values: new Map() });
    await warmUp(engine, prompt, undefined);
  }
  for (let r = 0; r < rounds; r++) {
    for (const what of timed) {
      // In turn, and each round beginning with another one.
      for (let i = 0; i < all.length; i++) {
        await runOne(all[(i + r) % all.length]!, what);
      }
    }
    tell(`round ${r + 1} of ${rounds}`);
  }
  return { all, timed, context };
}

/** Longest sequence that the model is loaded for by itself, whole blocks of 8. */
async function contextOf(
  { model, threads }: StrategyOptions,
): Promise<number> {
  await using engine = await load(model, { threads });
  return Math.floor(engine.context / 8) * 8;
}

async function runOne(c: Contestant, what: Timed): Promise<void> {
  const times = await tokenTimes(c.engine, c.prompt(what.prompt), what.make);
  const list = c.values.get(what) ?? [];
  c.values.set(what, list);
  if (what.make === 1) list.push(perSecond(what.prompt, times[0]!));
  for (let at = SEGMENT; at < times.length; at += SEGMENT) {
    list.push(rateBetween(times, at - SEGMENT, at));
  }
}

/** How fast one was, and how it stands to the first. */
export interface Reached {
  readonly median: number;
  /** Of medians. */
  readonly ratio: number;
  /** Of the values that one in ten exceeds: those a busy machine disturbed least. */
  readonly best: number;
}

/** See `Reached`. */
export function reached(
  c: Contestant,
  base: Contestant,
  what: Timed,
): Reached {
  const own = c.values.get(what)!, other = base.values.get(what)!;
  return {
    median: median(own),
    ratio: median(own) / median(other),
    best: quantile(own, 0.9) / quantile(other, 0.9),
  };
}

/** Tokens/s of all, over those of the first. */
export function contestTable(
  title: string,
  all: readonly Contestant[],
  timed: readonly Timed[],
): Table {
  const [base] = all;
  const cell = (c: Contestant, what: Timed): string => {
    const { median, ratio, best } = reached(c, base!, what);
    return c === base
      ? number(median)
      : `${number(median)} (${ratio.toFixed(2)}×, ${best.toFixed(2)}×)`;
  };
  return {
    title,
    head: ["", ...timed.map(({ name }) => name)],
    rows: all.map((c) => [c.name, ...timed.map((what) => cell(c, what))]),
  };
}

/** The figures behind it. */
export function contestFigures(
  all: readonly Contestant[],
  timed: readonly Timed[],
): readonly unknown[] {
  return all.map((c) => ({
    name: c.name,
    timed: timed.map((what) => ({
      ...what,
      ...reached(c, all[0]!, what),
      tokensPerSecond: c.values.get(what),
    })),
  }));
}
