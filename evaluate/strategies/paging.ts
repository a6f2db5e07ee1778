/**
 * `paging`: what small blocks cost in speed, against one block a sequence.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { contiguous } from "../../plugins/contiguous.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { promptsOf, warmUp } from "../speed_cases.ts";
import type { NextPrompt } from "../speed_prompts.ts";
import { perSecond, rateBetween, tokenTimes } from "../speed_timing.ts";
import { median } from "../statistics.ts";
import type { StrategyOptions } from "./options.ts";
import { quantile } from "./percentiles.ts";
import { number, percent, type Report } from "./report.ts";

/** Positions in a block. */
const PAGES = [8, 16, 32, 64, 256];

/** What is timed: a prompt, and tokens after it. */
interface Timed {
  readonly name: string;
  readonly prompt: number;
  readonly make: number;
}

/** Tokens of which one value is made: short, so that a disturbance spoils few. */
const SEGMENT = 32;

const TIMED: readonly Timed[] = [
  { name: "prompt of 512", prompt: 512, make: 1 },
  { name: "decode, empty context", prompt: 4, make: 129 },
  { name: "decode at 1,000", prompt: 1000, make: 193 },
  { name: "decode at 4,000", prompt: 4000, make: 193 },
];

/** Paging may cost this much of decode speed. */
const COST = 0.05;

/** One layout, its engine and what it reached, tokens/s. */
interface Contestant {
  readonly name: string;
  readonly engine: Engine;
  readonly prompt: NextPrompt;
  readonly values: Map<Timed, number[]>;
}

/** Runs the benchmark. */
export async function pagingReport(
  { model, threads, rounds }: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  await using engines = new AsyncDisposableStack();
  const all: Contestant[] = [];
  const context = await contextOf(model, threads);
  for (const [name, plugin] of layouts(context)) {
    const how = { threads, context, plugins: [plugin] };
    const engine = engines.use(await load(model, how));
    const prompt = promptsOf(engine, 1);
    all.push({ name, engine, prompt, values: new Map() });
    await warmUp(engine, prompt, undefined);
  }
  const timed = TIMED.filter((t) => t.prompt + t.make <= context);
  for (let r = 0; r < rounds; r++) {
    for (const what of timed) {
      // In turn, and each round beginning with another one.
      for (let i = 0; i < all.length; i++) {
        await runOne(all[(i + r) % all.length]!, what);
      }
    }
    tell(`round ${r + 1} of ${rounds}`);
  }
  return report(all, timed, rounds);
}

async function contextOf(
  model: string,
  threads: number | undefined,
): Promise<number> {
  await using engine = await load(model, { threads });
  return Math.floor(engine.context / 8) * 8;
}

function layouts(context: number): [string, Plugin][] {
  const pages = PAGES.filter((blockTokens) => blockTokens <= context);
  return [
    ["contiguous", contiguous({ tokens: context })],
    ...pages.map((blockTokens): [string, Plugin] => [
      `pages of ${blockTokens}`,
      pagedAttention({ blockTokens }),
    ]),
  ];
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

/** How fast a layout was, and how it stands to the contiguous one. */
interface Reached {
  readonly median: number;
  /** Of medians. */
  readonly ratio: number;
  /** Of the values that one in ten exceeds: those a busy machine disturbed least. */
  readonly best: number;
}

function reached(c: Contestant, base: Contestant, what: Timed): Reached {
  const own = c.values.get(what)!, other = base.values.get(what)!;
  return {
    median: median(own),
    ratio: median(own) / median(other),
    best: quantile(own, 0.9) / quantile(other, 0.9),
  };
}

function report(
  all: readonly Contestant[],
  timed: readonly Timed[],
  rounds: number,
): Report {
  const [whole, ...pages] = all;
  const cell = (c: Contestant, what: Timed): string => {
    const { median, ratio, best } = reached(c, whole!, what);
    return c === whole
      ? number(median)
      : `${number(median)} (${ratio.toFixed(2)}×, ${best.toFixed(2)}×)`;
  };
  const decodes = timed.filter(({ make }) => make > 1);
  const least = (c: Contestant): number =>
    Math.min(...decodes.map((what) => reached(c, whole!, what).ratio));
  const verdicts = pages.map((c) =>
    `${c.name} ${percent(least(c))}${least(c) >= 1 - COST ? "" : " (too slow)"}`
  );
  return {
    tables: [{
      title:
        `Tokens/s by tokens in a block, ${rounds} rounds in turn: median (over contiguous: medians, fastest tenths)`,
      head: ["", ...timed.map(({ name }) => name)],
      rows: all.map((c) => [c.name, ...timed.map((what) => cell(c, what))]),
    }],
    notes: [
      `Slowest decode over contiguous, at least ${
        percent(1 - COST, 0)
      } wanted: ${verdicts.join(", ")}.`,
    ],
    figures: {
      rounds,
      layouts: all.map((c) => ({
        name: c.name,
        timed: timed.map((what) => ({
          ...what,
          ...reached(c, whole!, what),
          tokensPerSecond: c.values.get(what),
        })),
      })),
    },
  };
}
