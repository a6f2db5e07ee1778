/**
 * `checkpoint`: what a parked sequence keeps, and how soon it goes on, by what it
 * keeps: its tokens, hidden states at some layers, or its K and V in host memory or on
 * disk.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { checkpointing } from "../../plugins/checkpointing.ts";
import { cpuOffload } from "../../plugins/cpu_offload.ts";
import { diskOffload } from "../../plugins/disk_offload.ts";
import { kvInt8 } from "../../plugins/kv_int8.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { prefixCache } from "../../plugins/prefix_cache.ts";
import { median } from "../statistics.ts";
import { type Answer, answer, sameTokens } from "./answer.ts";
import type { StrategyOptions } from "./options.ts";
import { mebibytes, number, percent, type Report } from "./report.ts";
import { slicesOf } from "./texts.ts";

/** Tokens of the parked sequence, and of what comes after. */
const PROMPT = 2000, MAKE = 32;

/** Layers from one checkpoint to the next; the last is all that SmolLM2 has. */
const EVERY = [1, 5, 10, 30] as const;

/** Room for what is kept, bytes. */
const BYTES = 2 ** 31;

/** One way to park. */
interface Way {
  readonly name: string;
  readonly engine: Engine;
  /** Resolves when all that it keeps is where it is kept. */
  readonly settled: () => Promise<void>;
  /** What the text went on with before it was parked. */
  first: Answer | undefined;
  /** Bytes beside the device. */
  kept: number;
  readonly resumes: number[];
  equal: boolean;
  /** Positions that were loaded or restored the last time. */
  found: number;
}

/** Runs the benchmark. Writes to a temporary folder, which it removes. */
export async function checkpointReport(
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const folder = await Deno.makeTempDir({ prefix: "quire_checkpoint_" });
  try {
    await using engines = new AsyncDisposableStack();
    const ways: Way[] = [];
    for (const [name, plugins, settled] of entrants(folder)) {
      const all = [pagedAttention(), prefixCache(), ...plugins];
      const engine = await load(options.model, {
        threads: options.threads,
        plugins: all,
      });
      engines.use(engine);
      const none = { first: undefined, kept: 0, equal: true, found: 0 };
      ways.push({ name, engine, settled, resumes: [], ...none });
    }
    const length = options.sizes?.prompt ?? PROMPT;
    const make = options.sizes?.make ?? MAKE;
    const next = await slicesOf(options.data, ways[0]!.engine.tokenizer);
    const request = { tokens: next(length), maxTokens: make };
    for (const way of ways) await park(way, request);
    // The first time warms up.
    for (let r = 0; r <= options.rounds; r++) {
      for (const way of ways) await resume(way, request, r > 0);
      tell(`${r} of ${options.rounds}`);
    }
    return report(ways, length, options.rounds);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

type Entrant = readonly [string, readonly Plugin[], () => Promise<void>];

function entrants(folder: string): readonly Entrant[] {
  const now = (): Promise<void> => Promise.resolve();
  const disk = (name: string, plugins: readonly Plugin[]): Entrant => {
    const plugin = diskOffload({ folder: `${folder}/${name}`, bytes: BYTES });
    return [name, [...plugins, plugin], () => plugin.idle()];
  };
  const host = (): Plugin => cpuOffload({ bytes: BYTES });
  return [
    ["tokens only", [checkpointing({ every: "tokens" })], now],
    ...EVERY.toReversed().map((every): Entrant => [
      `hidden states, every ${every}`,
      [checkpointing({ every, bytes: BYTES })],
      now,
    ]),
    ["f16 in host memory", [host()], now],
    ["INT8 in host memory", [kvInt8(), host()], now],
    disk("f16 on disk", []),
    disk("INT8 on disk", [kvInt8()]),
  ];
}

/** Computes the sequence once, and takes it off the device. */
async function park(
  way: Way,
  request: { readonly tokens: number[]; readonly maxTokens: number },
): Promise<void> {
  const { engine } = way;
  way.first = await answer(engine, request);
  engine.cache.evictIdle();
  await way.settled();
  way.kept = engine.cache.lines()
    .filter((line) => line.tier !== "device")
    .reduce((sum, line) => sum + line.bytes, 0);
}

async function resume(
  way: Way,
  request: { readonly tokens: number[]; readonly maxTokens: number },
  counts: boolean,
): Promise<void> {
  const { engine } = way;
  engine.cache.evictIdle();
  await way.settled();
  const found = (): number =>
    engine.cache.stat(true).fetchedTokens + engine.scheduler.stat().restored;
  const before = found();
  const again = await answer(engine, request);
  way.found = found() - before;
  way.equal &&= again.text === way.first!.text &&
    sameTokens(again.tokens, way.first!.tokens);
  if (counts) way.resumes.push(again.firstMs);
}

function report(
  ways: readonly Way[],
  length: number,
  rounds: number,
): Report {
  const [tokens] = ways;
  const f16 = ways.find((w) => w.name.startsWith("f16"))!;
  const slow = median(tokens!.resumes);
  const figures = ways.map((w) => ({
    name: w.name,
    kept: w.kept,
    perToken: w.kept / length,
    resumeMs: median(w.resumes),
    leastMs: Math.min(...w.resumes),
    ofTokens: median(w.resumes) / slow,
    found: w.found,
    equal: w.equal,
  }));
  const equal = figures.filter((f) => f.equal).length;
  return {
    tables: [{
      title:
        `A parked sequence of ${length} tokens: what is kept of it, and the time to its next token, medians of ${rounds} rounds in turn, and the least`,
      head: [
        "kept",
        "MiB",
        "bytes a token",
        "of f16",
        "next token, ms",
        "of tokens only",
        "least, ms",
        "positions not computed",
      ],
      rows: figures.map((f) => [
        f.name,
        mebibytes(f.kept),
        number(f.perToken),
        `${(f.kept / f16.kept).toFixed(2)}×`,
        number(f.resumeMs),
        percent(f.ofTokens),
        number(f.leastMs),
        String(f.found),
      ]),
    }],
    notes: [
      `${equal} of ${figures.length} ways go on with the text they had before, in every round.`,
    ],
    figures: { length, rounds, ways: figures, equal },
  };
}
