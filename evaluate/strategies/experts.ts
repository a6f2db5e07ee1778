/**
 * `experts`: how often experts are there that come one by one, and decode speed, over
 * that with all of them there. The model is made for it: see expert_model.ts.
 *
 * @module
 */
import type { Engine } from "../../engine/engine.ts";
import { load } from "../../engine/load.ts";
import type { WeightSource } from "../../core/weight_plan.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import { weightOffload } from "../../plugins/weight_offload.ts";
import { median } from "../statistics.ts";
import {
  type ExpertModelSizes,
  SIZES,
  writeExpertModel,
} from "./expert_model.ts";
import type { StrategyOptions } from "./options.ts";
import { mebibytes, number, percent, type Report } from "./report.ts";

/** Tokens in a round, of which the first few warm up. */
const TOKENS = 220, WARM = 20;

/** Experts there at once, of all. */
const SHARES = [1 / 8, 1 / 4, 1 / 2, 3 / 4];

interface Row {
  readonly from: WeightSource;
  readonly slots: number;
  /** Of what rows took. */
  readonly hitRate: number;
  /** Read for a token. */
  readonly bytes: number;
  /** Milliseconds of a token, median; and with all experts there. */
  readonly tokenMs: number;
  readonly wholeMs: number;
  /** Median of what the former is of the latter in the same round. */
  readonly ratio: number;
  readonly peak: number;
}

/** Runs the benchmark. */
export async function expertsReport(
  options: StrategyOptions,
  tell: (line: string) => void,
  sizes: ExpertModelSizes = SIZES,
): Promise<Report> {
  const folder = await Deno.makeTempDir({ prefix: "quire_experts_" });
  try {
    const path = `${folder}/experts.gguf`;
    const bytes = await writeExpertModel(path, sizes);
    tell(`a model of ${mebibytes(bytes)} MiB`);
    const base = { threads: options.threads, context: 256, chunk: 64 };
    await using whole = await load(path, {
      ...base,
      plugins: [pagedAttention()],
    });
    const all = sizes.layers * sizes.experts, rows: Row[] = [];
    for (const from of ["disk", "host"] as const) {
      for (const share of SHARES) {
        const experts = Math.max(sizes.experts, Math.round(all * share));
        const offload = weightOffload({ from, experts });
        await using engine = await load(path, {
          ...base,
          plugins: [pagedAttention(), offload],
        });
        rows.push(await measure(whole, engine, from, experts, options));
        tell(`${experts} of ${all} from ${from}`);
      }
    }
    return report(rows, all);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function measure(
  whole: Engine,
  engine: Engine,
  from: WeightSource,
  slots: number,
  { rounds }: StrategyOptions,
): Promise<Row> {
  const wholes: number[] = [], times: number[] = [];
  let hits = 0, misses = 0, bytes = 0;
  for (let round = 0; round < rounds; round++) {
    const want = await drawn(whole, round), before = engine.memory().experts!;
    const got = await drawn(engine, round), now = engine.memory().experts!;
    if (`${want.tokens}` !== `${got.tokens}`) {
      throw new Error("Cannot compare: the tokens are others");
    }
    wholes.push(want.ms);
    times.push(got.ms);
    hits += now.hits - before.hits;
    misses += now.misses - before.misses;
    bytes += now.bytes - before.bytes;
  }
  return {
    ...{ from, slots, hitRate: hits / (hits + misses) },
    bytes: bytes / (rounds * TOKENS),
    ...{ tokenMs: median(times), wholeMs: median(wholes) },
    ratio: median(times.map((ms, i) => ms / wholes[i]!)),
    peak: engine.memory().tiers.device!.peak,
  };
}

/** Tokens that are drawn, so that a model of random weights does not go in circles. */
async function drawn(
  engine: Engine,
  seed: number,
): Promise<{ readonly tokens: readonly number[]; readonly ms: number }> {
  const tokens: number[] = [];
  let start = 0;
  for await (
    const part of engine.generate({
      ...{ tokens: [5 + seed], maxTokens: TOKENS, ignoreEos: true },
      ...{ temperature: 1, seed },
    })
  ) {
    tokens.push(...part.tokens);
    if (tokens.length <= WARM) start = performance.now();
  }
  return { tokens, ms: (performance.now() - start) / (TOKENS - WARM) };
}

function report(rows: readonly Row[], all: number): Report {
  return {
    tables: [{
      title: `Decoding with some of ${all} experts there at once`,
      head: [
        ...["from", "experts there", "hits", "MiB read a token"],
        ...["ms a token", "with all there", "times as long", "device MiB"],
      ],
      rows: rows.map((r) => [
        r.from === "disk" ? "file cache" : "host",
        `${r.slots}`,
        percent(r.hitRate),
        number(r.bytes / 2 ** 20),
        number(r.tokenMs),
        number(r.wholeMs),
        r.ratio.toFixed(2),
        mebibytes(r.peak),
      ]),
    }],
    notes: [
      "Weights are random, routers skewed; the file was in the system's cache.",
    ],
    figures: { rows },
  };
}
