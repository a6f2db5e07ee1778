/**
 * `sharing`: how much KV memory parallel sampling and beam search save because
 * blocks are shared, as the PagedAttention paper counts it:
 *
 * ```text
 *  saved = (blocks without sharing - blocks in use) / blocks without sharing
 * ```
 *
 * @module
 */
import { load } from "../../engine/load.ts";
import type { Engine } from "../../engine/engine.ts";
import type { GenerateOptions } from "../../engine/options.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import type { StrategyOptions } from "./options.ts";
import { percent, type Report } from "./report.ts";
import { saved, type Sharing, StepMeter } from "./step_meter.ts";
import { type NextSlice, slicesOf } from "./texts.ts";

/** Answers, or beams. */
const WIDTHS = [2, 4, 6];

/** Lengths like those of a workload: its mean, and around it. */
interface Workload {
  readonly name: string;
  readonly prompt: number;
  readonly make: number;
  /** Savings in the paper's figure 15, per cent. */
  readonly paper: Readonly<Record<Way, readonly [number, number]>>;
}

type Way = "parallel sampling" | "beam search";

/** Mean lengths are those of the paper's figure 11. */
const WORKLOADS: readonly Workload[] = [
  {
    name: "Alpaca-like",
    prompt: 19.3,
    make: 58.4,
    paper: { "parallel sampling": [6.1, 9.8], "beam search": [37.6, 55.2] },
  },
  {
    name: "ShareGPT-like",
    prompt: 161.3,
    make: 338,
    paper: { "parallel sampling": [16.2, 30.5], "beam search": [44.3, 66.3] },
  },
];

/** Prompts and answers of a round are this much of the mean, in turn. */
const SPREAD = [1, 0.5, 1.5, 0.75, 1.25];

/** One workload, one way, one width. */
interface Found {
  readonly workload: string;
  readonly way: Way;
  readonly width: number;
  readonly saved: number;
  readonly paper: readonly [number, number];
}

/** Runs the benchmark. */
export async function sharingReport(
  { model, threads, rounds, data, sizes }: StrategyOptions,
  tell: (line: string) => void,
): Promise<Report> {
  const meter = new StepMeter();
  const plugins = [pagedAttention(), meter.plugin];
  await using engine = await load(model, { threads, plugins });
  meter.watch(engine);
  const next = await slicesOf(data, engine.tokenizer);
  const found: Found[] = [];
  for (const workload of WORKLOADS) {
    const of = { ...workload, ...sizes };
    for (const way of Object.keys(workload.paper) as Way[]) {
      for (const width of WIDTHS) {
        const looks = await runWidth(
          engine,
          meter,
          next,
          of,
          way,
          width,
          rounds,
        );
        const one = {
          workload: workload.name,
          way,
          width,
          saved: saved(looks),
          paper: workload.paper[way],
        };
        tell(`${one.workload}, ${way}, ${width}: ${percent(one.saved)}`);
        found.push(one);
      }
    }
  }
  const { tokens } = engine.plan.groups[0]!.shape;
  return report(found, tokens, rounds);
}

/** What was seen in all steps of `rounds` requests. */
async function runWidth(
  engine: Engine,
  meter: StepMeter,
  next: NextSlice,
  { prompt, make }: Pick<Workload, "prompt" | "make">,
  way: Way,
  width: number,
  rounds: number,
): Promise<Sharing[]> {
  meter.take();

  for (let r = 0; r < rounds; r++) {
    const factor = SPREAD[r % SPREAD.length]!;
    const length = (mean: number): number =>
      Math.max(2, Math.round(mean * factor));
    const how: GenerateOptions = way === "beam search"
      ? { beams: width, n: width }
      : { n: width, temperature: 1, topK: 0, topP: 1, minP: 0, seed: r };
    const parts = engine.generate({
      tokens: next(length(prompt)),
      maxTokens: length(make),
      ignoreEos: true,
      ...how,
    });
    for await (const _ of parts) { /* only the memory counts */ }
  }
  return meter.take();
}

function report(
  found: readonly Found[],
  blockTokens: number,
  rounds: number,
): Report {
  const by = Map.groupBy(found, (f) => `${f.workload}, ${f.way}`);
  return {
    tables: [{
      title:
        `KV memory saved by sharing, blocks of ${blockTokens} tokens, over all steps of ${rounds} requests each`,
      head: ["", ...WIDTHS.map((w) => `${w} wide`), "in the paper"],
      rows: [...by].map(([name, group]) => [
        name,
        ...group.map((f) => percent(f.saved)),
        group[0]!.paper.map((share) => `${share} %`).join(" – "),
      ]),
    }],
    notes: [
      "Prompts are cut from WikiText-2; the lengths are half to one and a half of the means of the paper's two workloads. The paper's models and texts were others, so beams agree more or less often there.",
    ],
    figures: { blockTokens, rounds, found },
  };
}
