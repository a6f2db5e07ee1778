/**
 * The command line of the strategy benchmarks.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import { fileURLToPath } from "node:url";
import { parseAddress } from "../../plugins/redis/address.ts";

/** What can be run. */
export type StrategyName =
  | "waste"
  | "paging"
  | "kv"
  | "prefix"
  | "replay"
  | "sharing"
  | "tiers"
  | "checkpoint"
  | "context"
  | "speculation"
  | "weights"
  | "experts";

/** What each is about, in a line of `--help`. */
export const STRATEGIES: Readonly<Record<StrategyName, string>> = {
  waste: "KV memory that no token is in, paged and contiguous; no model needed",
  paging: "decode and prefill speed by tokens in a block",
  kv: "decode speed and bytes with K and V in fewer bits",
  prefix: "time to the first token of a prompt that came before",
  replay: "64 requests of a trace through memory for 8 of them",
  sharing: "memory saved by parallel sampling and beam search",
  tiers: "blocks from host memory, disk, Redis; needs --allow-write",
  checkpoint:
    "bytes and time of parked sequences by what they keep; needs --allow-write",
  context: "tokens per second where K and V do not fit; needs --allow-write",
  speculation: "tokens per second with prompt lookup and without",
  weights: "decode speed with layers streamed, over what bandwidth allows",
  experts: "decode speed with some experts there; needs --allow-write",
};

/** What `--help` prints. */
export const USAGE = `evaluate/strategies.ts NAME... [options]

${
  Object.entries(STRATEGIES).map(([name, what]) =>
    `  ${name.padEnd(12)} ${what}`
  ).join("\n")
}

  --json             figures as one line of JSON for each NAME
  --model MODEL      catalogue name, file or URL (default smollm2)
  --threads N        compute workers (default: the machine's cores)
  --rounds N         rounds in turn, or prompts (default 5)
  --data DIR         folder with traces/ and wikitext2-test.txt
                     (default: ../shared/data beside this repository)
  --requests N       waste: first N of each trace (default 2000);
                     replay: default 64
  --held N           average requests the budget holds (waste: default 32,
                     replay: default 8)
  --chunks a,b       waste: most rows of a step (default 256,4096)
  --load X           waste: offered load, 1 is all that full steps can do
                     (default 1)
  --step-ms X        waste: milliseconds of a step (default 6)
  --row-ms X         waste: milliseconds of each row besides (default 1)
  --redis URL        tiers: a server for restarts too; needs --allow-net of its
                     host and port, and what it keeps is gone after 10 minutes
  --wait S           seconds to wait for a quiet machine (default 60)`;

/** What the command line asks for. */
export interface StrategyOptions {
  readonly names: readonly StrategyName[];
  readonly json: boolean;
  readonly model: string;
  readonly threads: number | undefined;
  readonly rounds: number;
  /** A folder. */
  readonly data: string;
  readonly requests: number | undefined;
  readonly held: number | undefined;
  readonly chunks: readonly number[] | undefined;
  readonly load: number;
  readonly stepMs: number;
  readonly rowMs: number;
  readonly wait: number;
  /** Address of a server; may hold a password. */
  readonly redis?: string;
  /** Smaller sizes, for tests; not on the command line. */
  readonly sizes?: Sizes;
}

/** Lengths that a benchmark has of its own, in tokens. */
export interface Sizes {
  /** Of a prompt, and of an answer. */
  readonly prompt?: number;
  readonly make?: number;
  /** What lengths of a trace are multiplied by, beside the usual factor. */
  readonly scale?: number;
}

const NUMBERS = [
  "threads",
  "rounds",
  "requests",
  "held",
  "load",
  "step-ms",
  "row-ms",
  "wait",
] as const;

/**
 * Reads the command line.
 *
 * @throws {RangeError} for a name or option that is unknown or out of bounds.
 * @throws {TypeError} for an address of a server that is none.
 */
export function strategyOptions(args: readonly string[]): StrategyOptions {
  const given = parseArgs([...args], {
    boolean: ["json"],
    string: ["model", "data", "chunks", "redis", ...NUMBERS],
    unknown: (name: string) => {
      if (!name.startsWith("-")) return true;
      throw new RangeError(`Cannot use option "${name}": see --help`);
    },
  });
  const names = given._.map(String);
  const wrong = names.find((name) => !Object.hasOwn(STRATEGIES, name));
  if (names.length === 0 || wrong !== undefined) {
    throw new RangeError(
      `Cannot run "${wrong ?? ""}": ${
        Object.keys(STRATEGIES).join(", ")
      } are possible`,
    );
  }
  const value = (name: typeof NUMBERS[number]): number | undefined => {
    const text = given[name];
    if (text === undefined) return undefined;
    const number = Number(text);
    if (text !== "" && number > 0 && number < Infinity) return number;
    if (name === "wait" && number === 0) return 0;
    throw new RangeError(
      `Cannot use --${name} "${text}": a number above 0 is wanted`,
    );
  };
  const whole = (name: typeof NUMBERS[number]): number | undefined => {
    const number = value(name);
    if (number === undefined || Number.isInteger(number)) return number;
    throw new RangeError(
      `Cannot use --${name} "${number}": a whole number is wanted`,
    );
  };
  if (given.redis !== undefined) parseAddress(given.redis);
  return {
    names: names as StrategyName[],
    json: given.json,
    model: given.model ?? "smollm2",
    threads: whole("threads"),
    rounds: whole("rounds") ?? 5,
    data: given.data ??
      fileURLToPath(new URL("../../../shared/data", import.meta.url)),
    requests: whole("requests"),
    held: value("held"),
    chunks: given.chunks === undefined ? undefined : rowsOf(given.chunks),
    load: value("load") ?? 1,
    stepMs: value("step-ms") ?? 6,
    rowMs: value("row-ms") ?? 1,
    wait: value("wait") ?? 60,
    ...given.redis === undefined ? {} : { redis: given.redis },
  };
}

function rowsOf(text: string): number[] {
  return text.split(",").map((part) => {
    const rows = Number(part);
    if (Number.isInteger(rows) && rows >= 1) return rows;
    throw new RangeError(
      `Cannot use --chunks "${text}": whole numbers from 1 with commas are wanted`,
    );
  });
}
