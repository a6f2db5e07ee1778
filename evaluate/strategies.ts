/**
 * What memory strategies cost and bring: waste, paging, prefix reuse, a trace
 * under pressure, sharing, speculation.
 *
 * ```sh
 * deno run --quiet --allow-read --allow-env --allow-sys=cpus \
 *   evaluate/strategies.ts waste prefix
 * ```
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { ModelError } from "../core/errors.ts";
import { QUIET, waitQuiet, watchOthers } from "./strategies/machine.ts";
import {
  type StrategyName,
  type StrategyOptions,
  strategyOptions,
  USAGE,
} from "./strategies/options.ts";
import { markdown, percent, type Report } from "./strategies/report.ts";
import { checkpointReport } from "./strategies/checkpoint.ts";
import { contextReport } from "./strategies/context.ts";
import { expertsReport } from "./strategies/experts.ts";
import { kvReport } from "./strategies/kv.ts";
import { prefixReport } from "./strategies/prefix.ts";
import { replayReport } from "./strategies/replay.ts";
import { pagingReport } from "./strategies/paging.ts";
import { sharingReport } from "./strategies/sharing.ts";
import { tiersReport } from "./strategies/tiers.ts";
import { speculationReport } from "./strategies/speculation.ts";
import { wasteReport } from "./strategies/waste.ts";
import { weightsReport } from "./strategies/weights.ts";

/** Runs a benchmark; `tell` hears how far it is. */
export type RunStrategy = (
  options: StrategyOptions,
  tell: (line: string) => void,
) => Promise<Report>;

const RUN: Readonly<Record<StrategyName, RunStrategy>> = {
  prefix: prefixReport,
  replay: replayReport,
  paging: pagingReport,
  kv: kvReport,
  sharing: sharingReport,
  tiers: tiersReport,
  checkpoint: checkpointReport,
  context: contextReport,
  speculation: speculationReport,
  waste: wasteReport,
  weights: weightsReport,
  experts: expertsReport,
};

/** Benchmarks that time nothing need no quiet. */
const UNTIMED: ReadonlySet<StrategyName> = new Set(["waste", "sharing"]);

async function runOne(
  name: StrategyName,
  options: StrategyOptions,
): Promise<void> {
  const tell = (line: string): void => console.error(`${name}: ${line}`);
  const timed = !UNTIMED.has(name);
  const before = timed ? await waitQuiet(options.wait) : undefined;
  if (before !== undefined && before > QUIET) {
    tell(`others use ${percent(before)} of the machine`);
  }
  const others = watchOthers();
  const report = await RUN[name](options, tell);
  const othersBusy = others();
  if (options.json) {
    console.log(JSON.stringify({ name, othersBusy, ...report.figures }));
    return;
  }
  const notes = [...report.notes, ...(timed ? [quietNote(othersBusy)] : [])];
  console.log(`## ${name}\n\n${markdown({ ...report, notes })}\n`);
}

function quietNote(others: number | undefined): string {
  if (others === undefined) {
    return "Whether the machine was quiet is not known: run with --allow-sys=cpus.";
  }
  return others <= QUIET
    ? `The machine was quiet: others used ${percent(others)} of it.`
    : `The machine was not quiet: others used ${
      percent(others)
    } of it. Times are preliminary.`;
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  let options: StrategyOptions;
  try {
    options = strategyOptions(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  for (const name of options.names) await runOne(name, options);
  return 0;
}

if (import.meta.main) {
  try {
    Deno.exit(await main(Deno.args));
  } catch (error) {
    // What users can mend; anything else is shown with its stack.
    if (!(error instanceof ModelError)) throw error;
    console.error(error.message);
    Deno.exit(1);
  }
}
