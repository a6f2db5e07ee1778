/**
 * `kv`: how fast tokens are made, and what a sequence holds, with K and V in fewer
 * bits. What that costs in accuracy is `quire eval`'s matter.
 *
 * @module
 */
import { kvCache, type KvFormat } from "../../plugins/kv_cache.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { type KvBytes, kvBytes } from "../kv_bytes.ts";
import {
  contest,
  type Contestant,
  contestFigures,
  contestTable,
  type Entrant,
  type Timed,
} from "./contest.ts";
import type { StrategyOptions } from "./options.ts";
import { number, type Report } from "./report.ts";

const FORMATS: readonly (readonly [KvFormat, KvFormat])[] = [
  ["int8", "int8"],
  ["int8", "int4"],
  ["int4", "int4"],
  ["nvfp4", "nvfp4"],
];

const TIMED: readonly Timed[] = [
  { name: "prompt of 512", prompt: 512, make: 1 },
  { name: "decode, empty context", prompt: 4, make: 129 },
  { name: "decode at 500", prompt: 500, make: 193 },
  { name: "decode at 4,000", prompt: 4000, make: 193 },
];

/** Tokens of the sequence whose bytes are read, at most. */
const TOKENS = 4001;

/** Runs the benchmark. */
export async function kvReport(
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  await using engines = new AsyncDisposableStack();
  const { all, timed, context } = await contest(
    options,
    () => [["f16", [pagedAttention()]], ...FORMATS.map(entrant)],
    TIMED,
    engines,
    tell,
  );
  const held: KvBytes[] = [];
  for (const { engine, prompt } of all) {
    const length = Math.min(TOKENS, context - 8);
    held.push(await kvBytes(engine, prompt(length)));
  }
  return report(all, timed, held, options.rounds);
}

function entrant([k, v]: readonly [KvFormat, KvFormat]): Entrant {
  const name = k === v ? k : `${k}/${v}`;
  return [name, [pagedAttention(), kvCache({ k, v })]];
}

function report(
  all: readonly Contestant[],
  timed: readonly Timed[],
  held: readonly KvBytes[],
  rounds: number,
): Report {
  const [base] = held;
  return {
    tables: [
      contestTable(
        `Tokens/s by format of K and V, ${rounds} rounds in turn: median (over f16: medians, fastest tenths)`,
        all,
        timed,
      ),
      {
        title: "Bytes of K and V by the ledger",
        head: ["", "tokens", "held", "a token", "of f16", "in full blocks"],
        rows: all.map(({ name }, i) => {
          const { tokens, bytes, perToken } = held[i]!;
          const each = bytes / tokens, other = base!.bytes / base!.tokens;
          const full = perToken === undefined || base!.perToken === undefined
            ? ""
            : `${(perToken / base!.perToken).toFixed(3)}×`;
          return [
            name,
            number(tokens),
            number(bytes),
            number(each),
            `${(each / other).toFixed(3)}×`,
            full,
          ];
        }),
      },
    ],
    notes: [
      "Held: the open block and places in slabs that nothing is in included.",
    ],
    figures: { rounds, formats: contestFigures(all, timed), held },
  };
}
