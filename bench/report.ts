/**
 * A side-by-side run as tables, and as JSON to keep.
 *
 * @module
 */
import {
  FIGURES,
  formatFigure,
  ROWS,
  unitLabel,
} from "../evaluate/speed_rows.ts";
import { type Aim, judge, type Verdict, verdictLine } from "./aims.ts";
import { type ContestantName, TITLES } from "./contest.ts";
import type { Placed, Standing } from "./side_by_side.ts";

/** Share of all cores that other programs may use without a word about it. */
export const QUIET = 0.05;

/** A run and what it was run on. */
export interface Contest {
  /** As the user gave it. */
  readonly model: string;
  readonly threads: number;
  readonly rounds: number;
  readonly standing: Standing;
  readonly aims: readonly Aim[];
  /** Largest share of all cores that other programs used during a run that counts. */
  readonly othersBusy: number;
}

/** How the medians stand to the aims. */
export function verdicts({ standing, aims }: Contest): Verdict[] {
  return judge(
    aims,
    (name, figure) => standing.get(name)?.[figure]?.median,
  );
}

/**
 * A Markdown table: medians with least and largest, and Quire's over each peer's
 * (below 1 is better for times and memory), then the settings, then the aims.
 */
export function contestTable(contest: Contest): string {
  const { model, threads, rounds, standing, othersBusy } = contest;
  const peers = [...standing.keys()].filter((name) => name !== "quire");
  const rows = [
    ["", "Quire", ...peers.flatMap((name) => [TITLES[name], "ratio"])],
  ];
  const own = standing.get("quire") ?? {};
  for (const figure of FIGURES) {
    const given = [own, ...peers.map((name) => standing.get(name)!)]
      .map((figures) => figures[figure]);
    if (given.every((value) => value === undefined)) continue;
    const { label, unit } = ROWS[figure];
    const show = (value: number): string => formatFigure(value, unit);
    const cell = (p: Placed | undefined): string =>
      p === undefined
        ? "–"
        : p.n === 1
        ? show(p.median)
        : `${show(p.median)} (${show(p.min)}–${show(p.max)})`;
    const [mine, ...theirs] = given;
    rows.push([
      `${label}, ${unitLabel(unit)}`,
      cell(mine),
      ...theirs.flatMap((p) => [
        cell(p),
        mine && p ? `${(mine.median / p.median).toFixed(2)}×` : "–",
      ]),
    ]);
  }
  const lines = [
    `${model}: ${threads} threads, ${rounds} rounds in turn, median (least–largest)`,
    ...(othersBusy > QUIET
      ? [
        `The machine was not quiet: others used up to ${
          Math.round(othersBusy * 100)
        } % of it`,
      ]
      : []),
    "",
    ...markdown(rows),
    "",
  ];
  for (const name of peers) lines.push(settingsLine(name, standing.get(name)!));
  lines.push("", ...verdicts(contest).map(verdictLine));
  return lines.join("\n");
}

/** What `--json` prints and `--record` keeps of a side-by-side run. */
export function contestRecord(contest: Contest): Record<string, unknown> {
  const { model, threads, rounds, standing, othersBusy } = contest;
  return {
    model,
    threads,
    rounds,
    othersBusy,
    date: new Date().toISOString(),
    deno: Deno.version.deno,
    system: `${Deno.build.os} ${Deno.build.arch}`,
    contestants: Object.fromEntries(
      [...standing].map(([name, figures]) => [
        name,
        Object.fromEntries(
          FIGURES.filter((figure) => figures[figure] !== undefined).map((
            figure,
          ) => [figure, { unit: ROWS[figure].unit, ...figures[figure] }]),
        ),
      ]),
    ),
    aims: verdicts(contest).map(({ aim, ratio, met }) => ({
      ...aim,
      ratio,
      met,
    })),
  };
}

function settingsLine(
  name: ContestantName,
  figures: Readonly<Record<string, Placed | undefined>>,
): string {
  const by = new Map<string, string[]>();
  for (const [figure, placed] of Object.entries(figures)) {
    if (placed === undefined) continue;
    by.set(placed.setting, [...by.get(placed.setting) ?? [], figure]);
  }
  const parts = [...by].map(([setting, of]) => `${setting}: ${of.join(", ")}`);
  return `${TITLES[name]} by its best setting. ${
    parts.join("; ") || "none ran"
  }`;
}

function markdown(rows: readonly (readonly string[])[]): string[] {
  const widths = rows[0]!.map((_, i) =>
    Math.max(3, ...rows.map((row) => row[i]!.length))
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((c, i) => c.padEnd(widths[i]!)).join(" | ")} |`;
  const [head, ...body] = rows;
  return [
    line(head!),
    line(widths.map((w) => "-".repeat(w))),
    ...body.map(line),
  ];
}
