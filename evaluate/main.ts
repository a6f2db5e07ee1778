/**
 * How near the fast run of a model is to the exact one, over a text.
 *
 * ```sh
 * deno task eval smollm2 --chunks 40 --text ../shared/data/wikitext2-test.txt
 * deno task eval smollm2 --text book.txt --alone --json
 * ```
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { parseArgs } from "@std/cli/parse-args";
import { load } from "../mod.ts";
import { compareRuns, perplexityOf } from "./compare_runs.ts";
import type { DivergenceReport } from "./divergence.ts";
import { type Chunks, cutChunks, type Estimate } from "./perplexity.ts";

const USAGE = `Usage: deno task eval MODEL --text FILE [options]

  --text FILE     text to foretell, in UTF-8
  --chunks N      most chunks of it, default all
  --size N        tokens in a chunk, default 512; the second half is scored
  --alone         the fast run's perplexity only, without the exact run
  --threads N     compute workers, default the machine's cores
  --json          figures as JSON`;

/** Settings of one evaluation. */
interface Settings {
  readonly model: string;
  readonly text: string;
  readonly chunks: number;
  readonly size: number;
  readonly alone: boolean;
  readonly threads: number | undefined;
}

function settingsOf(argv: string[]): Settings & { readonly json: boolean } {
  const args = parseArgs(argv, {
    string: ["text", "chunks", "size", "threads"],
    boolean: ["alone", "json", "help"],
    unknown: (name) => {
      if (name.startsWith("-")) throw new TypeError(`Unknown option "${name}"`);
    },
  });
  const whole = (name: "chunks" | "size" | "threads"): number | undefined => {
    const value = args[name];
    if (value === undefined) return undefined;
    if (/^[1-9]\d*$/.test(value)) return Number(value);
    throw new RangeError(
      `Cannot use "--${name} ${value}": a whole number above 0 is wanted`,
    );
  };
  const [model] = args._;
  if (model === undefined || args.text === undefined) {
    throw new TypeError("A model and a text are wanted");
  }
  return {
    model: String(model),
    text: args.text,
    chunks: whole("chunks") ?? Infinity,
    size: whole("size") ?? 512,
    alone: args.alone,
    threads: whole("threads"),
    json: args.json,
  };
}

/** Tells how far it is, on standard error. */
function teller(chunks: number): (done: number) => void {
  const started = performance.now(), terminal = Deno.stderr.isTerminal();
  let told = started;
  return (done) => {
    const now = performance.now(), left = chunks - done;
    if (!terminal && left > 0 && now - told < 10_000) return;
    told = now;
    const seconds = Math.ceil((now - started) / done * left / 1000);
    const line = `${done} of ${chunks} chunks, ${seconds} s left`;
    const text = terminal ? `\r\x1b[K${left > 0 ? line : ""}` : `${line}\n`;
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  };
}

/** What one evaluation found. */
interface Report {
  readonly model: string;
  readonly chunks: number;
  readonly chunksOfText: number;
  readonly chunkTokens: number;
  readonly seconds: number;
  readonly perplexity: { readonly fast: Estimate; readonly exact?: Estimate };
  readonly divergence?: DivergenceReport;
}

async function evaluate(settings: Settings): Promise<Report> {
  const { model, size, threads, alone } = settings;
  const text = await Deno.readTextFile(settings.text);
  // One request at a time, and room for the rows that are looked at together.
  const options = { threads, context: size, parallel: 1 };
  await using fast = await load(model, options);
  const { chunks, whole }: Chunks = cutChunks(
    fast.tokenizer,
    text,
    size,
    settings.chunks,
  );
  let started = performance.now();
  const onChunk = teller(chunks.length);
  const report = (
    figures: Pick<Report, "perplexity" | "divergence">,
  ): Report => ({
    model,
    chunks: chunks.length,
    chunksOfText: whole,
    chunkTokens: size,
    seconds: Math.round(performance.now() - started) / 1000,
    ...figures,
  });
  if (alone) {
    const { value, error } = await perplexityOf(fast, { chunks, onChunk });
    return report({ perplexity: { fast: { value, error } } });
  }
  await using exact = await load(model, { ...options, precision: "exact" });
  started = performance.now();
  const divergence = await compareRuns(exact, fast, { chunks, onChunk });
  const { reference, candidate } = divergence;
  return report({
    perplexity: { fast: candidate.perplexity, exact: reference.perplexity },
    divergence,
  });
}

function print({ perplexity, divergence, ...report }: Report): void {
  const row = (what: string, value: string): void =>
    console.log(`${what.padEnd(22)}${value}`);
  const estimate = ({ value, error }: Estimate, digits: number): string =>
    `${value.toFixed(digits)} ± ${error.toFixed(digits)}`;
  const percent = ({ value, error }: Estimate): string =>
    `${(100 * value).toFixed(2)} ± ${(100 * error).toFixed(2)} %`;
  console.log(
    `${report.model}: ${report.chunks} of ${report.chunksOfText} chunks of ${report.chunkTokens} tokens in ${
      report.seconds.toFixed(0)
    } s`,
  );
  if (perplexity.exact) row("perplexity, exact", estimate(perplexity.exact, 4));
  row("perplexity, fast", estimate(perplexity.fast, 4));
  if (divergence === undefined) return;
  const { kld, sameTop, rmsDeltaP } = divergence;
  row("KL divergence, mean", estimate(kld.mean, 6));
  row("  median", kld.median.toFixed(6));
  row("  99 %", kld.p99.toFixed(6));
  row("  99.9 %", kld.p999.toFixed(6));
  row("  largest", kld.max.toFixed(6));
  row("same likeliest token", percent(sameTop));
  row("RMS change of p", percent(rmsDeltaP));
}

async function main(argv: string[]): Promise<number> {
  let settings;
  try {
    settings = settingsOf(argv);
  } catch (error) {
    console.error(`${(error as Error).message}\n\n${USAGE}`);
    return 2;
  }
  try {
    const report = await evaluate(settings);
    if (settings.json) console.log(JSON.stringify(report, null, 2));
    else print(report);
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
