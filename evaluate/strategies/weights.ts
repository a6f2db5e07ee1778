/**
 * `weights`: tokens per second with layers streamed, over what bandwidth and compute
 * allow.
 *
 * ```text
 *  bound = max(bytes of streamed layers / bandwidth alone, a step with all resident)
 * ```
 * Bandwidth is that of one worker that does nothing but read the same bytes, in the
 * same run and, where the drive is measured, as often forgotten by the system.
 *
 * @module
 */
import { modelSpec } from "../../models/arch/mod.ts";
import { openModel } from "../../models/open_model.ts";
import { pull } from "../../models/pull.ts";
import type { ModelSpec } from "../../core/model.ts";
import type { WeightSource } from "../../core/weight_plan.ts";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { weightOffload } from "../../plugins/weight_offload.ts";
import { promptsOf } from "../speed_cases.ts";
import { tokenTimes } from "../speed_timing.ts";
import { median } from "../statistics.ts";
import type { StrategyOptions } from "./options.ts";
import { mebibytes, number, percent, type Report } from "./report.ts";
import { Forgetter, layerRuns, RawReader, type Run } from "./weight_reads.ts";

/** Where bytes come from: a drive, what the system keeps of it, or host memory. */
type Medium = "drive" | "file cache" | "host";

/** Requests that decode together. */
const BATCHES = [1, 8] as const;

/** Steps of which one value is made. */
const SEGMENT = 8;

/** Steps in a round. */
const STEPS = 25;

/** Room for K and V of eight requests, beside what was taken before any ran. */
const KV_BYTES = 24 << 20;

/** One way to run, and what came of it. */
interface Row {
  readonly medium: Medium;
  readonly resident: number;
  readonly depth: number;
  readonly batch: number;
  /** Bytes that a step reads. */
  readonly bytes: number;
  /** Bytes per second alone. */
  readonly bandwidth: number;
  /** Milliseconds: reading alone, computing alone, a step, medians. */
  readonly readMs: number;
  readonly computeMs: number;
  readonly stepMs: number;
  /** Device bytes by the ledger: most used, and allowed. */
  readonly peak: number;
  readonly budget: number;
}

/** What all rows share. */
interface Bench {
  readonly options: StrategyOptions;
  readonly path: string;
  readonly spec: ModelSpec;
  readonly paths: readonly string[];
  readonly reader: RawReader;
  readonly forgetter: Forgetter | undefined;
  readonly context: number;
  readonly tell: (line: string) => void;
}

/** Runs the benchmark. */
export async function weightsReport(
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const path = await pull(options.model);
  const file = await openModel(path), spec = modelSpec(file);
  const paths = file.files.map((f) => f.path);
  using reader = new RawReader();
  await using forgetter = await Forgetter.open(paths);
  const context = Math.min(spec.context, 256);
  const bench = { options, path, spec, paths, reader, context, tell };
  const rows = await measure({ ...bench, forgetter });
  return report(rows, forgetter !== undefined);
}

async function measure(bench: Bench): Promise<Row[]> {
  const { spec, forgetter } = bench;
  const all = spec.layers.length, rows: Row[] = [];
  // It stays loaded, to be measured in turn with each of the others.
  await using whole = await open(bench, undefined);
  const { used } = whole.memory().tiers.device!;
  const media: Medium[] = [
    ...forgetter === undefined ? [] : ["drive" as const],
    "file cache",
    "host",
  ];
  for (const medium of media) {
    for (const resident of new Set([0, Math.round(all / 4), all >> 1])) {
      const wanted = { from: sourceOf(medium), resident, used };
      await using engine = await open(bench, wanted);
      for (const batch of BATCHES) {
        rows.push(await measureRow(bench, engine, whole, medium, batch));
        bench.tell(`${medium}, ${resident} layers stay, batch ${batch}`);
      }
    }
  }
  return rows;
}

function sourceOf(medium: Medium): WeightSource {
  return medium === "host" ? "host" : "disk";
}

/** Loads with `resident` layers, in less memory than all would take. */
function open(
  { options, path, paths, context, spec }: Bench,
  wanted:
    | { readonly from: WeightSource; resident: number; used: number }
    | undefined,
): Promise<Engine> {
  const { threads } = options;
  const base = { threads, context, chunk: 64, parallel: 8 };
  if (wanted === undefined) {
    return load(path, { ...base, plugins: [pagedAttention()] });
  }
  const { from, resident } = wanted;
  const all = layerRuns(spec, paths, spec.layers.map((_, i) => i));
  const layer = all.reduce((sum, r) => sum + r.bytes, 0) / spec.layers.length;
  // Room for a few slots beside what stays; the file's bytes are about memory's.
  const less = Math.max(0, spec.layers.length - resident - 14);
  const budget = Math.round(wanted.used - less * layer) + KV_BYTES;
  const plugins = [pagedAttention(), weightOffload({ from, resident })];
  return load(path, { ...base, budget, plugins });
}

async function measureRow(
  bench: Bench,
  engine: Engine,
  whole: Engine,
  medium: Medium,
  batch: number,
): Promise<Row> {
  const { spec, paths } = bench;
  const { streamed, depth } = engine.plan.weights!;
  const runs = layerRuns(spec, paths, streamed);
  const bytes = runs.reduce((sum, r) => sum + r.bytes, 0);
  const forget = medium === "drive" ? bench.forgetter : undefined;
  const reads: number[] = [], steps: number[] = [], computes: number[] = [];
  for (let r = 0; r < bench.options.rounds; r++) {
    for (let i = 0; i < 3; i++) {
      reads.push(await readAlone(bench, medium, runs, bytes, forget));
    }
    computes.push(...await stepTimes(whole, batch));
    steps.push(...await stepTimes(engine, batch, forget));
  }
  const readMs = median(reads), computeMs = median(computes);
  const { peak, capacity } = engine.memory().tiers.device!;
  return {
    ...{ medium, resident: spec.layers.length - streamed.length, depth, batch },
    ...{ bytes, bandwidth: bytes / readMs * 1000, readMs },
    ...{ computeMs, stepMs: median(steps), peak, budget: capacity },
  };
}

async function readAlone(
  { reader }: Bench,
  medium: Medium,
  runs: readonly Run[],
  bytes: number,
  forget: Forgetter | undefined,
): Promise<number> {
  if (medium === "host") return await reader.copy(hostBuffer(bytes));
  await forget?.forget();
  return await reader.read(runs);
}

let host: SharedArrayBuffer | undefined;

/** Host memory that was written to, so that it is there. */
function hostBuffer(bytes: number): SharedArrayBuffer {
  if (host?.byteLength !== bytes) {
    host = new SharedArrayBuffer(bytes);
    new Uint8Array(host).fill(1);
  }
  return host;
}

/** Milliseconds of a step, one value for every few, of requests that run together. */
async function stepTimes(
  engine: Engine,
  batch: number,
  forget?: Forgetter,
): Promise<number[]> {
  const next = promptsOf(engine, 1), out: number[] = [];
  const timer = forget && watch(engine, () => forget.kick());
  const all = await Promise.all(
    Array.from({ length: batch }, () => tokenTimes(engine, next(4), STEPS)),
  );
  timer?.stop();
  const times = all.at(-1)!;
  for (let at = SEGMENT; at < times.length; at += SEGMENT) {
    out.push((times[at]! - times[at - SEGMENT]!) / SEGMENT);
  }
  return out;
}

/** Calls `each` once in every step. */
function watch(engine: Engine, each: () => void): { stop(): void } {
  let seen = engine.scheduler.stat().steps;
  const timer = setInterval(() => {
    const { steps } = engine.scheduler.stat();
    if (steps === seen) return;
    seen = steps;
    each();
  }, 2);
  return { stop: () => clearInterval(timer) };
}

function report(rows: readonly Row[], drive: boolean): Report {
  const bound = (r: Row): number => Math.max(r.readMs, r.computeMs);
  const perSecond = (r: Row): number => r.batch * 1000 / r.stepMs;
  const cells = rows.map((r) => [
    r.medium,
    `${r.resident}`,
    `${r.depth}`,
    `${r.batch}`,
    mebibytes(r.bytes),
    number(r.bandwidth / 1e9),
    number(r.computeMs),
    number(bound(r)),
    number(r.stepMs),
    number(perSecond(r)),
    percent(bound(r) / r.stepMs, 0),
    `${mebibytes(r.peak)} of ${mebibytes(r.budget)}`,
  ]);
  const gains = rows.filter((r) => r.batch === 8).map((r) => {
    const one = rows.find((o) =>
      o.batch === 1 && o.medium === r.medium && o.resident === r.resident
    )!;
    return [
      r.medium,
      `${r.resident}`,
      `${(perSecond(r) / perSecond(one)).toFixed(2)}×`,
    ];
  });
  return {
    tables: [
      {
        title: "Decoding with layers streamed: milliseconds of a step, medians",
        head: [
          ...["from", "stay", "slots", "batch", "MiB a step", "GB/s alone"],
          ...["compute", "bound", "step", "tokens/s", "of the bound"],
          "device MiB",
        ],
        rows: cells,
      },
      {
        title: "Tokens/s of eight requests over those of one",
        head: ["from", "stay", "gain"],
        rows: gains,
      },
    ],
    notes: drive ? [] : [
      "The drive was not measured, only what the system keeps of the file: it needs --allow-run=dd.",
    ],
    figures: { rows: rows.map((r) => ({ ...r, boundMs: bound(r) })) },
  };
}
