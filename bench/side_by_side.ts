/**
 * Contestants in turn, round after round, each with its best settings.
 *
 * @module
 */
import {
  type FigureName,
  FIGURES,
  moreIsBetter,
  type SpeedCase,
} from "../evaluate/speed_rows.ts";
import { type Summary, summary } from "../evaluate/statistics.ts";
import type { Contestant, ContestantName, Sample, Setting } from "./contest.ts";

/** Someone who takes part, and in what. */
export interface Entry {
  readonly contestant: Contestant;
  readonly cases: readonly SpeedCase[];
}

/** How a run goes. */
export interface SideBySideOptions {
  /** Values of each figure; the load of the machine drifts, so at least 5 for a claim. */
  readonly rounds: number;
  /** Told before and after each process. */
  readonly onRun?: ((note: RunNote) => void) | undefined;
  /** Told what there is after each round. */
  readonly onRound?: ((standing: Standing) => void) | undefined;
}

/** A process that begins, or one that has ended. */
export interface RunNote {
  /** 0 while settings are chosen. */
  readonly round: number;
  readonly name: ContestantName;
  readonly setting: string;
  readonly cases: readonly SpeedCase[];
  /** Milliseconds; undefined when it begins. */
  readonly took: number | undefined;
  readonly othersBusy?: number | undefined;
  readonly error?: string | undefined;
}

/** A figure by its best setting. */
export interface Placed extends Summary {
  readonly setting: string;
  /** In the order of the rounds. */
  readonly values: readonly number[];
}

/** Figures by contestant. */
export type Standing = ReadonlyMap<
  ContestantName,
  Readonly<Partial<Record<FigureName, Placed>>>
>;

/** Cases whose numbers do not drift: once is enough. */
const ONCE: ReadonlySet<SpeedCase> = new Set(["memory"]);

/** setting id → figure → values */
type Values = Map<string, Partial<Record<FigureName, number[]>>>;

/**
 * Chooses the best setting of each contestant for each case by one run of each,
 * which does not count, then runs all of them in turn. A peer's run that fails
 * is left out; Quire's is an error.
 */
export async function sideBySide(
  entries: readonly Entry[],
  { rounds, onRun, onRound }: SideBySideOptions,
): Promise<Standing> {
  const attempt = async (
    round: number,
    { contestant }: Entry,
    setting: Setting,
    cases: readonly SpeedCase[],
  ): Promise<Sample | undefined> => {
    const { name } = contestant;
    const note = { round, name, setting: setting.id, cases };
    onRun?.({ ...note, took: undefined });
    const start = performance.now();
    const took = (): number => performance.now() - start;
    try {
      const sample = await contestant.run(setting, cases);
      onRun?.({ ...note, took: took(), othersBusy: sample.othersBusy });
      return sample;
    } catch (error) {
      if (name === "quire") throw error;
      onRun?.({ ...note, took: took(), error: (error as Error).message });
      return undefined;
    }
  };
  const plans: { entry: Entry; groups: Map<Setting, SpeedCase[]> }[] = [];
  for (const entry of entries) {
    const samples = new Map<Setting, Sample>();
    for (const setting of choices(entry)) {
      const sample = await attempt(0, entry, setting, probes(entry));
      if (sample !== undefined) samples.set(setting, sample);
    }
    plans.push({ entry, groups: chooseSettings(entry, samples) });
  }
  const values = new Map(
    entries.map((
      e,
    ): [ContestantName, Values] => [e.contestant.name, new Map()]),
  );
  for (let round = 1; round <= rounds; round++) {
    for (const { entry, groups } of plans) {
      for (const [setting, all] of groups) {
        const cases = all.filter((name) => round === 1 || !ONCE.has(name));
        if (cases.length === 0) continue;
        const sample = await attempt(round, entry, setting, cases);
        if (sample === undefined) continue;
        keep(values.get(entry.contestant.name)!, setting, sample);
      }
    }
    onRound?.(standingOf(values));
  }
  return standingOf(values);
}

/** Settings to choose from; none to try where there is no choice. */
function choices({ contestant: { settings } }: Entry): readonly Setting[] {
  return settings.length > 1 ? settings : [];
}

function probes({ contestant, cases }: Entry): SpeedCase[] {
  return [...new Set(cases.map((name) => contestant.probe(name)))];
}

/**
 * The best setting for each case by what `samples` say, and its cases. A load
 * comes with any run, so it gets none of its own beside others.
 */
export function chooseSettings(
  { contestant, cases }: Entry,
  samples: ReadonlyMap<Setting, Sample>,
): Map<Setting, SpeedCase[]> {
  const groups = new Map<Setting, SpeedCase[]>();
  const put = (setting: Setting, name: SpeedCase): void => {
    const group = groups.get(setting);
    if (group === undefined) groups.set(setting, [name]);
    else group.push(name);
  };
  for (const name of cases) {
    if (name === "load" && cases.length > 1) continue;
    const by = contestant.probe(name) as FigureName;
    let best: Setting | undefined, reached: number | undefined;
    for (const [setting, { figures }] of samples) {
      const value = figures[by];
      if (value === undefined) continue;
      const better = reached === undefined ||
        (moreIsBetter(by) ? value > reached : value < reached);
      if (better) [best, reached] = [setting, value];
    }
    put(best ?? contestant.settings[0]!, name);
  }
  if (cases.includes("load") && cases.length > 1) {
    for (const group of groups.values()) {
      if (group.some((name) => name !== "memory")) group.push("load");
    }
    if (![...groups.values()].flat().includes("load")) {
      put([...groups.keys()][0]!, "load");
    }
  }
  return groups;
}

function keep(values: Values, setting: Setting, sample: Sample): void {
  const of = values.get(setting.id) ?? {};
  values.set(setting.id, of);
  for (const [name, value] of Object.entries(sample.figures)) {
    (of[name as FigureName] ??= []).push(value);
  }
}

function standingOf(values: ReadonlyMap<ContestantName, Values>): Standing {
  return new Map([...values].map(([name, of]) => [name, placed(of)]));
}

/** Of each figure the setting with the best median. */
function placed(values: Values): Partial<Record<FigureName, Placed>> {
  const out: Partial<Record<FigureName, Placed>> = {};
  for (const figure of FIGURES) {
    for (const [setting, of] of values) {
      const list = of[figure];
      if (list === undefined) continue;
      const here = { setting, ...summary(list), values: [...list] };
      const best = out[figure];
      const better = best === undefined ||
        (moreIsBetter(figure)
          ? here.median > best.median
          : here.median < best.median);
      if (better) out[figure] = here;
    }
  }
  return out;
}
