/**
 * The command line of `deno task bench`.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { fileURLToPath } from "node:url";
import { casesOf, type SpeedCase } from "../evaluate/speed_rows.ts";
import type { PeerName } from "./contest.ts";

/** What `--help` prints. */
export const USAGE = `deno task bench [MODEL...] [options]

  --cases a,b        only these (default: all; beside peers: what the aims need)
  --reps N           repetitions of each case (default 3)
  --threads N        compute workers (default: the machine's cores)
  --json             one line of JSON for each model
  --record FILE      keep the figures in FILE as JSON
  --peers a,b        side by side with wllama, nlc and native, in turn
  --rounds N         rounds beside peers (default 5)
  --peers-dir DIR    folder with the peers' node_modules (default: --bench-dir)
  --native-dir DIR   folder with build/bin/llama-bench
  --bench-dir DIR    folder with peer.mjs (default: ../shared/bench)
  --wait-idle S      seconds peers wait for a quiet machine (default 5)

MODEL is a catalogue name (default: smollm2), a file or a URL.`;

/** What the command line asks for. */
export interface BenchOptions {
  readonly models: readonly string[];
  readonly cases: readonly SpeedCase[] | undefined;
  readonly reps: number;
  readonly rounds: number;
  readonly threads: number | undefined;
  readonly json: boolean;
  readonly record: string | undefined;
  readonly peers: readonly PeerName[];
  readonly peersDir: string;
  readonly nativeDir: string | undefined;
  readonly benchDir: string;
  readonly waitIdle: number;
}

const PEERS: readonly PeerName[] = ["wllama", "nlc", "native"];

/**
 * Reads the command line.
 *
 * @throws {RangeError} for an option that is unknown or out of bounds.
 */
export function benchOptions(args: readonly string[]): BenchOptions {
  const given = parseArgs([...args], {
    boolean: ["json"],
    string: [
      "cases",
      "reps",
      "rounds",
      "threads",
      "record",
      "peers",
      "peers-dir",
      "native-dir",
      "bench-dir",
      "wait-idle",
    ],
    unknown: (name: string) => {
      if (!name.startsWith("-")) return true;
      throw new RangeError(`Cannot use option "${name}": see --help`);
    },
  });
  const whole = (name: string, least: number): number | undefined => {
    const text = (given as Record<string, unknown>)[name];
    if (text === undefined) return undefined;
    const value = Number(text);
    if (text !== "" && Number.isInteger(value) && value >= least) return value;
    throw new RangeError(
      `Cannot use --${name} "${text}": a whole number from ${least} is wanted`,
    );
  };
  const peers = list(given.peers);
  for (const name of peers) {
    if (PEERS.includes(name as PeerName)) continue;
    throw new RangeError(
      `Cannot run peer "${name}": ${PEERS.join(", ")} are possible`,
    );
  }
  const nativeDir = given["native-dir"];
  if (peers.includes("native") && !nativeDir) {
    throw new RangeError(
      'Cannot run peer "native": --native-dir is wanted, the folder with build/bin/llama-bench',
    );
  }
  const benchDir = given["bench-dir"] ??
    fileURLToPath(new URL("../../shared/bench", import.meta.url));
  const models = given._.map(String);
  return {
    models: models.length > 0 ? models : ["smollm2"],
    cases: given.cases === undefined ? undefined : casesOf(list(given.cases)),
    reps: whole("reps", 1) ?? 3,
    rounds: whole("rounds", 1) ?? 5,
    threads: whole("threads", 1),
    json: given.json,
    record: given.record,
    peers: peers as PeerName[],
    peersDir: given["peers-dir"] ?? benchDir,
    nativeDir,
    benchDir,
    waitIdle: whole("wait-idle", 0) ?? 5,
  };
}

function list(text: string | undefined): string[] {
  return [...new Set((text ?? "").split(",").filter((name) => name !== ""))];
}
