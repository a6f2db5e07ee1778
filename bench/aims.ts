/**
 * How fast Quire wants to be, against whom: data, and what a run says to it.
 *
 * @module
 */
import {
  type FigureName,
  moreIsBetter,
  ROWS,
  type SpeedCase,
} from "../evaluate/speed_rows.ts";
import { type ContestantName, TITLES } from "./contest.ts";

/** One aim: `figure` is to be `factor` times the best of `figures` of `against`. */
export interface Aim {
  /** Catalogue name of the model it is for; undefined: every model. */
  readonly model?: string;
  readonly figure: FigureName;
  readonly against: ContestantName;
  readonly figures: readonly FigureName[];
  /** At least this for rates, at most this for times and bytes. */
  readonly factor: number;
  /** Wished for, not owed. */
  readonly stretch?: true;
}

/** What is aimed at. */
export const AIMS: readonly Aim[] = [
  { figure: "decode", against: "wllama", figures: ["decode"], factor: 6 },
  { figure: "decode", against: "nlc", figures: ["decode"], factor: 1 },
  {
    figure: "decode",
    against: "native",
    figures: ["decode"],
    factor: 1,
    stretch: true,
  },
  {
    model: "smollm2",
    figure: "decode1000",
    against: "native",
    figures: ["decode1000"],
    factor: 1.25,
  },
  {
    model: "smollm2",
    figure: "decode4000",
    against: "native",
    figures: ["decode4000"],
    factor: 1.25,
  },
  {
    model: "gemma3-270m",
    figure: "decode1000",
    against: "nlc",
    figures: ["decode1000"],
    factor: 1,
  },
  {
    model: "gemma3-270m",
    figure: "decode4000",
    against: "nlc",
    figures: ["decode4000"],
    factor: 1,
  },
  {
    figure: "prefill512",
    against: "wllama",
    figures: ["prefill512"],
    factor: 10,
  },
  {
    figure: "prefill512",
    against: "native",
    figures: ["prefill512"],
    factor: 0.5,
    stretch: true,
  },
  { figure: "batch8", against: "quire", figures: ["batch1"], factor: 1.5 },
  { figure: "batch8", against: "wllama", figures: ["batch8"], factor: 8 },
  {
    figure: "batch8",
    against: "nlc",
    figures: ["batch4", "batch8"],
    factor: 1.5,
  },
  {
    figure: "loadAndFirstToken",
    against: "wllama",
    figures: ["load"],
    factor: 0.5,
  },
  { figure: "memory", against: "nlc", figures: ["memory"], factor: 1 },
];

/** The aims for a model of the catalogue, or for any other one. */
export function aimsFor(
  model: string | undefined,
  aims: readonly Aim[] = AIMS,
): Aim[] {
  return aims.filter((aim) => aim.model === undefined || aim.model === model);
}

/** What `name` has to run for `aims`. */
export function aimCases(
  name: ContestantName,
  aims: readonly Aim[],
): Set<SpeedCase> {
  const figures = aims.flatMap((aim) => [
    ...(name === "quire" ? [aim.figure] : []),
    ...(aim.against === name ? aim.figures : []),
  ]);
  return new Set(figures.map((figure) => ROWS[figure].case));
}

/** A median of a contestant, where it was measured. */
export type MedianOf = (
  name: ContestantName,
  figure: FigureName,
) => number | undefined;

/** How a run stands to an aim. */
export interface Verdict {
  readonly aim: Aim;
  /** Quire's median over the other's; undefined if one of them is missing. */
  readonly ratio: number | undefined;
  readonly met: boolean | undefined;
}

/** Compares medians with aims. */
export function judge(aims: readonly Aim[], medianOf: MedianOf): Verdict[] {
  return aims.map((aim) => {
    const own = medianOf("quire", aim.figure);
    const theirs = aim.figures.map((f) => medianOf(aim.against, f))
      .filter((value) => value !== undefined);
    if (own === undefined || theirs.length === 0) {
      return { aim, ratio: undefined, met: undefined };
    }
    const more = moreIsBetter(aim.figure);
    const best = more ? Math.max(...theirs) : Math.min(...theirs);
    const ratio = own / best;
    return {
      aim,
      ratio,
      met: more ? ratio >= aim.factor : ratio <= aim.factor,
    };
  });
}

/** A verdict as a line for people. */
export function verdictLine({ aim, ratio, met }: Verdict): string {
  const { figure, figures, against, factor, stretch } = aim;
  const word = met === undefined ? "not run" : met ? "met" : "MISSED";
  const other = figures.length === 1 && figures[0] === figure
    ? ""
    : ` (${figures.map((f) => ROWS[f].label).join(" or ")})`;
  const bound = moreIsBetter(figure) ? "at least" : "at most";
  const reached = ratio === undefined ? "" : `, ${ratio.toFixed(2)}× reached`;
  return `${word.padEnd(8)} ${ROWS[figure].label}: ${bound} ${factor}× ${
    TITLES[against]
  }${other}${reached}${stretch ? " (stretch)" : ""}`;
}
