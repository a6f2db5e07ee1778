/**
 * `context`: tokens per second where most of a context's K and V do not fit on the
 * device and are read from host memory or disk for every token.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { cpuOffload } from "../../plugins/cpu_offload.ts";
import { diskOffload } from "../../plugins/disk_offload.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { median } from "../statistics.ts";
import { sameTokens } from "./answer.ts";
import type { StrategyOptions } from "./options.ts";
import { copyRate } from "./raw_rates.ts";
import { number, percent, type Report } from "./report.ts";
import { slicesOf } from "./texts.ts";

/** Tokens of the prompt, and of the answer. */
const PROMPT = 4000, MAKE = 64;

/** Parts of K and V that the device has room for. */
const PARTS = [1, 1 / 2, 1 / 4, 1 / 10];

/** One way to run it. */
interface Run {
  readonly tier: string;
  readonly part: number;
  readonly firstMs: number;
  /** Of one token. */
  readonly tokenMs: number;
  /** Bytes that were read for each token. */
  readonly read: number;
  /** Bytes of K and V on the device, by the ledger, at most. */
  readonly held: number;
  readonly equal: boolean;
}

/** Runs the benchmark. Writes to a temporary folder, which it removes. */
export async function contextReport(
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const { sizes } = options;
  const prompt = sizes?.prompt ?? PROMPT, make = sizes?.make ?? MAKE;
  const folder = await Deno.makeTempDir({ prefix: "quire_context_" });
  try {
    const runs: Run[] = [];
    const all = await runOne(options, prompt, make, "host", 1, folder);
    for (const tier of ["host", "disk"] as const) {
      for (const part of PARTS) {
        if (part === 1 && tier === "disk") continue;
        const run = part === 1
          ? all
          : await runOne(options, prompt, make, tier, part, folder, all);
        runs.push({ ...run, equal: sameTokens(run.tokens, all.tokens) });
        tell(`${tier}, ${percent(part, 0)}: ${number(run.tokenMs)} ms a token`);
      }
    }
    return report(runs, prompt, all.pieces);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

interface Timed extends Omit<Run, "equal"> {
  readonly tokens: readonly number[];
  /** Bytes of K and V in all. */
  readonly bytes: number;
  /** One block's bytes of one layer. */
  readonly pieces: number;
}

async function runOne(
  { model, threads, data }: StrategyOptions,
  prompt: number,
  make: number,
  tier: "host" | "disk",
  part: number,
  folder: string,
  all?: Timed,
): Promise<Timed> {
  const plugins = (): readonly Plugin[] => [
    pagedAttention({ blockTokens: 64 }),
    tier === "host"
      ? cpuOffload({ bytes: 2 ** 31 })
      : diskOffload({ folder: `${folder}/${part}`, bytes: 2 ** 31 }),
  ];
  const open = (budget?: number): Promise<Engine> =>
    load(model, {
      threads,
      plugins: plugins(),
      ...(budget === undefined ? {} : { budget }),
    });
  let budget: number | undefined;
  if (all !== undefined) budget = await budgetFor(all.bytes * part, open);
  await using engine = await open(budget);
  const next = await slicesOf(data, engine.tokenizer);
  const tokens = next(prompt);
  const times: number[] = [];
  let last = 0;
  const given: number[] = [];
  const started = performance.now();
  const request = { tokens, maxTokens: make, ignoreEos: true };
  for await (const p of engine.generate(request)) {
    const now = performance.now();
    if (last !== 0) times.push(now - last);
    last = now;
    given.push(...p.tokens);
    if (given.length === 1) times.push(now - started);
  }
  const [firstMs, ...rest] = times;
  const shape = engine.plan.groups[0]!;
  const peak = (of: string): number =>
    engine.memory().lines.filter((l) => l.tier === of && l.owner === "kv")
      .reduce((sum, l) => sum + l.peak, 0);
  return {
    tier,
    part,
    firstMs: firstMs!,
    tokenMs: median(rest),
    read: peak(tier === "host" ? "cpu" : "disk"),
    held: peak("device"),
    tokens: given,
    bytes: engine.cache.peakBytes(prompt + make, 1),
    pieces: shape.sealedBytes / shape.layers.length,
  };
}

/** A budget that leaves `bytes` for K and V; what works beside them depends on it. */
async function budgetFor(
  bytes: number,
  open: (budget: number) => Promise<Engine>,
): Promise<number> {
  let budget = 2 ** 30;
  for (let i = 0; i < 6; i++) {
    await using engine = await open(budget);
    const more = engine.cache.budgetBytes - Math.ceil(bytes);
    if (Math.abs(more) < bytes / 100) break;
    budget -= more;
  }
  return budget;
}

function report(
  runs: readonly Run[],
  prompt: number,
  pieces: number,
): Report {
  const base = runs[0]!;
  const copies = Math.ceil(2 ** 26 / pieces);
  const raw = median([1, 2, 3, 4, 5].map(() => copyRate(pieces, copies)));
  return {
    tables: [{
      title: `Tokens after ${prompt}, K and V in part elsewhere`,
      head: [
        "",
        "device MB",
        "read MB",
        "first ms",
        "ms a token",
        "of all here",
      ],
      rows: runs.map((r) => [
        `${r.tier}, ${percent(r.part, 0)} here`,
        number(r.held / 1e6),
        number(r.read / 1e6),
        number(r.firstMs),
        number(r.tokenMs),
        `${(r.tokenMs / base.tokenMs).toFixed(2)}×`,
      ]),
    }],
    notes: [
      `One thread copies pieces of ${number(pieces / 1e3)} kB at ${
        number(raw / 1e9)
      } GB/s.`,
      `${
        runs.filter((r) => r.equal).length
      } of ${runs.length} answers are equal.`,
    ],
    figures: { prompt, runs, raw },
  };
}
