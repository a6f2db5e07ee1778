/**
 * `deno task bench`: how fast models run here, alone or beside others.
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { basename } from "node:path";
import { ModelError } from "../core/errors.ts";
import { measureSpeed, speedTable } from "../evaluate/speed.ts";
import { casesOf } from "../evaluate/speed_rows.ts";
import { catalog } from "../models/catalog.ts";
import { pull } from "../models/pull.ts";
import { aimCases, aimsFor } from "./aims.ts";
import type { Contestant, PeerName } from "./contest.ts";
import { native } from "./native.ts";
import { type BenchOptions, benchOptions, USAGE } from "./options.ts";
import { nodeLlamaCpp, wllama } from "./peers.ts";
import { quireContestant } from "./quire.ts";
import { type Contest, contestRecord, contestTable, QUIET } from "./report.ts";
import { type RunNote, sideBySide, type Standing } from "./side_by_side.ts";

/** The figures of one model, alone: what to print, and what to keep. */
async function alone(
  model: string,
  { cases, reps, threads, json }: BenchOptions,
): Promise<[text: string, record: unknown]> {
  const speed = await measureSpeed(model, {
    cases,
    reps,
    threads,
    onCase: (name) => json || console.error(`${model}: ${name}`),
  });
  return [speedTable(speed), speed];
}

/** The figures of one model, beside the peers; `onRecord` is told after each round. */
async function besidePeers(
  model: string,
  options: BenchOptions,
  onRecord: (record: unknown) => void,
): Promise<[text: string, record: unknown]> {
  const { rounds, benchDir, waitIdle, peers } = options;
  const path = await pull(model);
  const threads = options.threads ?? navigator.hardwareConcurrency;
  const setup = {
    model: path,
    bench: benchDir,
    modules: options.peersDir,
    threads,
    waitIdle,
  };
  const contestants: Record<PeerName, () => Contestant> = {
    wllama: () => wllama(setup),
    nlc: () => nodeLlamaCpp(setup),
    native: () => native(options.nativeDir!, path, threads),
  };
  const aims = aimsFor(catalogueName(path)).filter(({ against }) =>
    against === "quire" || peers.includes(against)
  );
  const entries = [
    quireContestant(path, threads),
    ...peers.map((name) => contestants[name]()),
  ].map((contestant) => ({
    contestant,
    cases: (options.cases ?? casesOf([...aimCases(contestant.name, aims)]))
      .filter((name) => contestant.can(name)),
  }));
  let othersBusy = 0;
  const contest = (standing: Standing): Contest => ({
    model,
    threads,
    rounds,
    standing,
    aims,
    othersBusy,
  });
  const standing = await sideBySide(entries, {
    rounds,
    onRun: (note) => {
      if (note.round > 0) {
        othersBusy = Math.max(othersBusy, note.othersBusy ?? 0);
      }
      tell(note);
    },
    onRound: (now) => onRecord(contestRecord(contest(now))),
  });
  const done = contest(standing);
  return [contestTable(done), contestRecord(done)];
}

/** The name by which the catalogue has a file, if it has it. */
function catalogueName(path: string): string | undefined {
  return [...catalog.values()].find(({ file }) => file === basename(path))
    ?.name;
}

function tell(
  { round, name, setting, cases, took, othersBusy, error }: RunNote,
): void {
  if (took === undefined) return;
  const when = round === 0 ? "choosing settings" : `round ${round}`;
  const busy = othersBusy !== undefined && othersBusy > QUIET
    ? `; others used ${Math.round(othersBusy * 100)} % of the machine`
    : "";
  const how = error === undefined ? `${Math.round(took / 1000)} s` : error;
  console.error(
    `${when}: ${name} (${setting}) ${cases.join(", ")}: ${how}${busy}`,
  );
}

function lines(records: readonly unknown[]): string {
  return records.map((record) => `${JSON.stringify(record)}\n`).join("");
}

async function main(args: readonly string[]): Promise<number> {
  if (args.includes("--help")) {
    console.log(USAGE);
    return 0;
  }
  let options: BenchOptions;
  try {
    options = benchOptions(args);
  } catch (error) {
    console.error((error as Error).message);
    return 2;
  }
  const records: unknown[] = [];
  // Written as they come: a long run that is broken off leaves what it had.
  const keep = (more: unknown): void => {
    if (options.record) {
      Deno.writeTextFileSync(options.record, lines([...records, more]));
    }
  };
  for (const model of options.models) {
    const [text, record] = options.peers.length > 0
      ? await besidePeers(model, options, keep)
      : await alone(model, options);
    keep(record);
    records.push(record);
    console.log(options.json ? JSON.stringify(record) : `${text}\n`);
  }
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
