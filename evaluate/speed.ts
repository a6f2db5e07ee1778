/**
 * How fast a model runs here: the figures of the speed table.
 *
 * @module
 */
import type { Owner } from "../core/ledger.ts";
import { load } from "../engine/load.ts";
import { pull } from "../models/pull.ts";
import { peakMemory } from "./peak_memory.ts";
import {
  type CaseValues,
  lengthOf,
  promptsOf,
  runCase,
  timeLoad,
  warmUp,
} from "./speed_cases.ts";
import {
  CASE_NAMES,
  CASES,
  type FigureName,
  FIGURES,
  type FigureUnit,
  formatFigure,
  ROWS,
  type SpeedCase,
  unitLabel,
} from "./speed_rows.ts";
import { type Summary, summary } from "./statistics.ts";

/** Settings of {@linkcode measureSpeed}. */
export interface SpeedOptions {
  /** Default: all. */
  readonly cases?: readonly SpeedCase[] | undefined;
  /** How often each case is run. Default 3. */
  readonly reps?: number | undefined;
  /** Compute workers. Default: the machine's cores. */
  readonly threads?: number | undefined;
  /** Longest sequence, tokens. Default: what the model was trained for, at most 8,192. */
  readonly context?: number | undefined;
  /** Build of the CPU kernels. Default: the faster one that the machine runs. */
  readonly build?: "simd" | "relaxed" | undefined;
  /** Called before each case. */
  readonly onCase?: ((name: SpeedCase) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** A measured figure with its unit. */
export interface Figure extends Summary {
  readonly unit: FigureUnit;
}

/** What was measured; the shape of `--json`. */
export interface SpeedFigures {
  /** As the user gave it. */
  readonly model: string;
  readonly threads: number;
  /** Tokens. */
  readonly context: number;
  readonly reps: number;
  /** By row; `decode1000` and `decode4000` have three values of each repetition. */
  readonly figures: Readonly<Partial<Record<FigureName, Figure>>>;
  /** Most bytes of each owner in the memory case. */
  readonly owners: Readonly<Record<Owner, number>> | undefined;
  /** By case: why it was not run, or what to know about it. */
  readonly notes: Readonly<Partial<Record<SpeedCase, string>>>;
}

type Values = Partial<Record<FigureName, number[]>>;

/**
 * Loads a model (fetching it first where it is missing) and times the cases of
 * the speed table, each after a warm-up: greedy, ends of text ignored, every
 * prompt another one. A case longer than the context is skipped.
 *
 * @throws {RangeError} for `reps` below 1, and what `load()` throws.
 */
export async function measureSpeed(
  model: string,
  options: SpeedOptions = {},
): Promise<SpeedFigures> {
  const { reps = 3, onCase, signal, cases = CASE_NAMES } = options;
  if (!Number.isInteger(reps) || reps < 1) {
    throw new RangeError(
      `Cannot measure with "reps" ${reps}: a whole number above 0 is wanted`,
    );
  }
  const { threads, context, build } = options;
  const how = { threads, context, build, signal };
  const path = await pull(model, { signal });
  const wanted = CASE_NAMES.filter((name) => cases.includes(name));
  const values: Values = {};
  const notes: Partial<Record<SpeedCase, string>> = {};
  let owners: SpeedFigures["owners"];
  if (wanted.includes("memory")) {
    onCase?.("memory");
    const peak = await peakMemory(path, { threads, context, build });
    add(values, { memory: peak.bytes });
    owners = peak.owners;
    if (!peak.alone) {
      notes.memory = "measured in a process that does more than this";
    }
  }
  if (wanted.includes("load")) {
    onCase?.("load");
    for (let r = 0; r < reps; r++) {
      add(values, await timeLoad(model, how, r));
    }
  }
  await using engine = await load(model, how);
  const prompt = promptsOf(engine, 1);
  const timed = wanted.filter((c) => c !== "load" && c !== "memory");
  if (timed.length > 0) await warmUp(engine, prompt, signal);
  for (const name of timed) {
    const work = CASES[name], needs = lengthOf(work);
    if (needs > engine.context) {
      notes[name] =
        `needs ${needs} tokens, the context holds ${engine.context}`;
      continue;
    }
    onCase?.(name);
    if (work.kind === "batch") {
      await runCase(engine, prompt, name, { ...work, make: 8 }, signal);
    }
    for (let r = 0; r < reps; r++) {
      add(values, await runCase(engine, prompt, name, work, signal));
    }
  }
  return {
    model,
    threads: threads ?? navigator.hardwareConcurrency,
    context: engine.context,
    reps,
    figures: Object.fromEntries(
      FIGURES.filter((name) => values[name] !== undefined).map((name) => [
        name,
        { unit: ROWS[name].unit, ...summary(values[name]!) },
      ]),
    ),
    owners,
    notes,
  };
}

/** The figures as lines for people, one row each. */
export function speedTable(speed: SpeedFigures): string {
  const { model, threads, context, reps, figures, owners, notes } = speed;
  const lines = [
    `${model}: ${threads} threads, context ${context}, ${reps} repetitions`,
    row("", "median", "min", "max", ""),
  ];
  for (const name of FIGURES) {
    const figure = figures[name], { label, unit } = ROWS[name];
    if (figure === undefined) continue;
    const cell = (value: number): string => formatFigure(value, unit);
    lines.push(
      row(
        label,
        cell(figure.median),
        cell(figure.min),
        cell(figure.max),
        unitLabel(unit),
      ),
    );
  }
  for (const [owner, bytes] of Object.entries(owners ?? {})) {
    lines.push(
      row(`  of it ${owner}`, formatFigure(bytes, "bytes"), "", "", "MiB"),
    );
  }
  for (const [name, why] of Object.entries(notes)) {
    lines.push(`${name}: ${why}`);
  }
  return lines.join("\n");
}

function row(label: string, ...cells: string[]): string {
  const [median = "", min = "", max = "", unit = ""] = cells;
  return `${label.padEnd(30)}${median.padStart(9)}${min.padStart(9)}${
    max.padStart(9)
  }  ${unit}`.trimEnd();
}

function add(values: Values, more: CaseValues): void {
  for (const [name, value] of Object.entries(more)) {
    const list = values[name as FigureName] ??= [];
    if (typeof value === "number") list.push(value);
    else list.push(...value);
  }
}
