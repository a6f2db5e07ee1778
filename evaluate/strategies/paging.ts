/**
 * `paging`: what small blocks cost in speed, against one block a sequence.
 *
 * @module
 */
import { contiguous } from "../../plugins/contiguous.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import {
  contest,
  type Contestant,
  contestFigures,
  contestTable,
  type Entrant,
  reached,
  type Timed,
} from "./contest.ts";
import type { StrategyOptions } from "./options.ts";
import { percent, type Report } from "./report.ts";

/** Positions in a block. */
const PAGES = [8, 16, 32, 64, 256];

const TIMED: readonly Timed[] = [
  { name: "prompt of 512", prompt: 512, make: 1 },
  { name: "decode, empty context", prompt: 4, make: 129 },
  { name: "decode at 1,000", prompt: 1000, make: 193 },
  { name: "decode at 4,000", prompt: 4000, make: 193 },
];

/** Paging may cost this much of decode speed. */
const COST = 0.05;

/** Runs the benchmark. */
export async function pagingReport(
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  await using engines = new AsyncDisposableStack();
  const { all, timed } = await contest(
    options,
    layouts,
    TIMED,
    engines,
    tell,
  );
  return report(all, timed, options.rounds);
}

function layouts(context: number): readonly Entrant[] {
  const pages = PAGES.filter((blockTokens) => blockTokens <= context);
  return [
    ["contiguous", [contiguous({ tokens: context })]],
    ...pages.map((blockTokens): Entrant => [
      `pages of ${blockTokens}`,
      [pagedAttention({ blockTokens })],
    ]),
  ];
}

function report(
  all: readonly Contestant[],
  timed: readonly Timed[],
  rounds: number,
): Report {
  const [whole, ...pages] = all;
  const decodes = timed.filter(({ make }) => make > 1);
  const least = (c: Contestant): number =>
    Math.min(...decodes.map((what) => reached(c, whole!, what).ratio));
  const verdicts = pages.map((c) =>
    `${c.name} ${percent(least(c))}${least(c) >= 1 - COST ? "" : " (too slow)"}`
  );
  return {
    tables: [contestTable(
      `Tokens/s by tokens in a block, ${rounds} rounds in turn: median (over contiguous: medians, fastest tenths)`,
      all,
      timed,
    )],
    notes: [
      `Slowest decode over contiguous, at least ${
        percent(1 - COST, 0)
      } wanted: ${verdicts.join(", ")}.`,
    ],
    figures: { rounds, layouts: contestFigures(all, timed) },
  };
}
