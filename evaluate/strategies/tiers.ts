/**
 * `tiers`: how fast blocks come from host memory and disk, whether that hides behind
 * computing, and how soon an engine that starts anew has its first token.
 *
 * @module
 */
import type { Plugin } from "../../core/plugin.ts";
import type { Tier } from "../../core/slots.ts";
import type { BlockId } from "../../core/types.ts";
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import { cpuOffload } from "../../plugins/cpu_offload.ts";
import { diskOffload } from "../../plugins/disk_offload.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { prefixCache } from "../../plugins/prefix_cache.ts";
import { median } from "../statistics.ts";
import { answer } from "./answer.ts";
import type { StrategyOptions } from "./options.ts";
import { copyRate, fileRate, forget } from "./raw_rates.ts";
import { number, percent, type Report } from "./report.ts";
import { type Restart, restartRuns, restartTable } from "./restarts.ts";
import { type NextSlice, slicesOf } from "./texts.ts";

/** Tokens of the prompt whose blocks move. */
const PROMPT = 2000;

/** Ids of blocks that the engine has none of. */
const FIRST = 1e9;

/** Room in the tiers, bytes. */
const BYTES = 2 ** 31;

/** One tier: blocks that came, and what the machine does with as many bytes. */
interface Rate {
  readonly tier: string;
  readonly blocks: number;
  readonly bytes: number;
  /** Bytes per second: as the tier gives them, all asked together. */
  readonly rate: number;
  /** To their places on the device; 0 where that was not timed. */
  readonly placed: number;
  readonly raw: number;
}

/** Loading beside computing, seconds. */
interface Overlap {
  readonly tier: string;
  readonly load: number;
  readonly compute: number;
  readonly both: number;
}

/** Runs the benchmark. Writes to a temporary folder, which it removes. */
export async function tiersReport(
  options: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const folder = await Deno.makeTempDir({ prefix: "quire_tiers_" });
  try {
    const rates: Rate[] = [], overlaps: Overlap[] = [];
    for (const tier of ["host", "disk"] as const) {
      const found = await tierRun(tier, folder, options);
      rates.push(...found.rates);
      overlaps.push(found.overlap);
      for (const { tier, rate } of found.rates) {
        tell(`${tier}: ${number(rate / 1e9)} GB/s`);
      }
    }
    const prompt = options.sizes?.prompt ?? PROMPT;
    const restarts = await restartRuns(folder, prompt, options, tell);
    return report(rates, overlaps, restarts, options);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function open(
  { model, threads }: StrategyOptions,
  plugins: readonly Plugin[],
): Promise<Engine> {
  return load(model, {
    threads,
    plugins: [pagedAttention({ blockTokens: 64 }), prefixCache(), ...plugins],
  });
}

async function tierRun(
  tier: "host" | "disk",
  folder: string,
  options: StrategyOptions,
): Promise<{ readonly rates: readonly Rate[]; readonly overlap: Overlap }> {
  const { rounds, data, sizes } = options;
  const disk = diskOffload({ folder: `${folder}/rates`, bytes: BYTES });
  const plugin = tier === "host" ? cpuOffload({ bytes: BYTES }) : disk;
  await using engine = await open(options, [plugin]);
  const next = await slicesOf(data, engine.tokenizer);
  const tokens = next(sizes?.prompt ?? PROMPT);
  await answer(engine, { tokens, maxTokens: 1 });
  engine.cache.evictIdle();
  if (tier === "disk") await disk.idle();
  await bring(engine, tokens);
  const { bytes, blocks } = await bring(engine, tokens);
  const size = bytes / blocks;
  const files = tier === "host" ? undefined : folder;
  const held = engine.plan.tiers[0]!;
  const own: number[] = [], placed: number[] = [], raw: number[] = [];
  const cold: number[] = [], rawCold: number[] = [];
  await fill(held, size, blocks);
  await disk.idle();
  for (let r = 0; r < Math.max(5, rounds); r++) {
    // Before they are timed: the system may have been told to forget them.
    await tierRate(held, size, blocks);
    await bring(engine, tokens);
    own.push(await tierRate(held, size, blocks));
    raw.push(
      tier === "host"
        ? copyRate(size, blocks)
        : await fileRate(`${folder}/raw`, size, blocks),
    );
    await bring(engine, tokens);
    placed.push(bytes / (await bring(engine, tokens)).seconds);
    if (files === undefined || !await forget(files)) continue;
    cold.push(await tierRate(held, size, blocks));
    const again = (): Promise<boolean> => forget(files);
    rawCold.push(await fileRate(`${folder}/raw`, size, blocks, again));
  }
  const rates: Rate[] = [{
    tier,
    blocks,
    bytes,
    rate: median(own),
    placed: median(placed),
    raw: median(raw),
  }];
  if (cold.length > 0) {
    const [rate, raw] = [median(cold), median(rawCold)];
    rates.push({ tier: "disk, cold", blocks, bytes, rate, placed: 0, raw });
  }
  const overlap = await overlapRun(tier, engine, next, tokens, rounds);
  return { rates, overlap };
}

/** Gives a tier blocks of its own to read. */
async function fill(tier: Tier, size: number, blocks: number): Promise<void> {
  for (let i = 0; i < blocks; i++) {
    const bytes = new Uint8Array(size);
    for (let at = 0; at < size; at += 64) bytes[at] = at * i;
    await tier.put(FIRST + i as BlockId, bytes);
  }
}

/** Bytes per second of blocks that are asked for together. */
async function tierRate(
  tier: Tier,
  size: number,
  blocks: number,
): Promise<number> {
  const out = roomFor(size * blocks);
  const started = performance.now();
  const found = await Promise.all(
    Array.from(
      { length: blocks },
      (_, i) => {
        const to = out.subarray(i * size, (i + 1) * size);
        return tier.get(FIRST + i as BlockId, to);
      },
    ),
  );
  const seconds = (performance.now() - started) / 1000;
  if (found.some((is) => is !== "ok")) throw new Error("a block was lost");
  return size * blocks / seconds;
}

let room: Uint8Array = new Uint8Array(0);

/** Shared memory that is there before it is timed. */
function roomFor(bytes: number): Uint8Array {
  if (room.length < bytes) {
    room = new Uint8Array(new SharedArrayBuffer(bytes)).fill(1);
  }
  return room;
}

/** Brings the blocks of a prompt to a device that has none of them. */
async function bring(
  { cache, plan }: Engine,
  tokens: readonly number[],
): Promise<{ seconds: number; bytes: number; blocks: number }> {
  cache.evictIdle();
  await cache.seek(tokens);
  const { moves } = cache.stat(true);
  const started = performance.now();
  const { seq, cached } = cache.open(tokens);
  const r = cache.reserve([{ seq, tokens, from: cached, to: cached + 1 }]);
  if (!r.ok) throw new Error("no room for a prompt and one token");
  await cache.load(r);
  const seconds = (performance.now() - started) / 1000;
  cache.cancel(r);
  cache.close(seq);
  const blocks = cache.stat(true).moves - moves;
  return { seconds, blocks, bytes: blocks * plan.groups[0]!.sealedBytes };
}

/** The same loads and the same tokens, apart and together. */
async function overlapRun(
  tier: string,
  engine: Engine,
  next: NextSlice,
  tokens: readonly number[],
  rounds: number,
): Promise<Overlap> {
  const request = { tokens: next(64), maxTokens: 48, ignoreEos: true };
  const compute = async (): Promise<number> => {
    const started = performance.now();
    await answer(engine, request);
    return (performance.now() - started) / 1000;
  };
  await compute();
  const one = (await bring(engine, tokens)).seconds;
  // About half of what computing takes, so that either could hide the other.
  const loads = Math.max(1, Math.round(await compute() / one / 2));
  const loading = async (): Promise<number> => {
    const started = performance.now();
    for (let i = 0; i < loads; i++) await bring(engine, tokens);
    return (performance.now() - started) / 1000;
  };
  const load: number[] = [], alone: number[] = [], both: number[] = [];
  for (let r = 0; r < rounds; r++) {
    load.push(await loading());
    alone.push(await compute());
    const started = performance.now();
    await Promise.all([loading(), compute()]);
    both.push((performance.now() - started) / 1000);
  }
  return {
    tier,
    load: median(load),
    compute: median(alone),
    both: median(both),
  };
}

function report(
  rates: readonly Rate[],
  overlaps: readonly Overlap[],
  restarts: readonly Restart[],
  { sizes }: StrategyOptions,
): Report {
  const prompt = sizes?.prompt ?? PROMPT;
  return {
    tables: [
      {
        title: `Blocks of ${prompt} tokens, from a tier`,
        head: [
          "",
          "MB",
          "blocks",
          "GB/s",
          "raw GB/s",
          "of raw",
          "to places GB/s",
        ],
        rows: rates.map(({ tier, bytes, blocks, rate, placed, raw }) => [
          tier,
          number(bytes / 1e6),
          String(blocks),
          number(rate / 1e9),
          number(raw / 1e9),
          percent(rate / raw),
          placed === 0 ? "" : number(placed / 1e9),
        ]),
      },
      {
        title: "Loading prefixes while another request makes tokens, seconds",
        head: ["", "loads alone", "tokens alone", "together", "of the longer"],
        rows: overlaps.map(({ tier, load, compute, both }) => [
          tier,
          load.toFixed(3),
          compute.toFixed(3),
          both.toFixed(3),
          `${(both / Math.max(load, compute)).toFixed(2)}×`,
        ]),
      },
      restartTable(restarts, prompt),
    ],
    notes: [
      "Raw: as many bytes in pieces as large, copied by one thread, or read from one file by one worker; files were written just before, so that the system has them in memory, but for cold rows, which need --allow-run=dd to have it forget them.",
      `${
        restarts.filter((r) => r.equal).length
      } of ${restarts.length} answers are equal.`,
    ],
    figures: { prompt, rates, overlaps, restarts },
  };
}
