/**
 * How well a model goes on foretelling one long text with a window and sinks,
 * beside a window alone and a window that is computed anew.
 *
 * ```text
 *  sinks      │ s │     …     │ window        q │        one pass, every row scored
 *  near       the same, the sinks seen as from right before the window
 *  window     │         …     │ window + s    q │        one pass, every row scored
 *  recompute  │      │ window + s                │       a pass for each stride;
 *                │ window + s         │ stride ███│      its last rows are scored
 * ```
 * All score the same tokens, and see as many positions: in the last, from
 * window + sinks - stride + 1 up to window + sinks.
 *
 * ```sh
 * deno run --allow-read --allow-env evaluate/streaming.ts smollm2 --tokens 20000
 * ```
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { parseArgs } from "@std/cli/parse-args";
import { load, type LoadOptions, slidingWindow } from "../mod.ts";
import type { Evaluated } from "./compare_runs.ts";
import { rowSum } from "./divergence.ts";
import { type Estimate, Perplexity } from "./perplexity.ts";

const TEXT = new URL(
  "../../shared/data/wikitext2-test.txt",
  import.meta.url,
);

const USAGE = `Usage: evaluate/streaming.ts MODEL [options]

  --tokens N      tokens of the text, default 20000
  --text FILE     text to foretell, default wikitext2-test.txt of ../shared/data
  --window N      positions of the window, default 1020
  --sinks N       positions of the sinks, default 4
  --stride N      tokens scored by each pass of "recompute", default 64
  --methods A,B   of sinks, near, window, recompute; default all but near
  --threads N     compute workers, default the machine's cores`;

/** Ways to go through a text; see the drawing. */
export type Method = "sinks" | "near" | "window" | "recompute";

const METHODS: readonly Method[] = ["sinks", "near", "window", "recompute"];

/** Sizes, in tokens. */
export interface StreamSizes {
  readonly tokens: number;
  readonly window: number;
  readonly sinks: number;
  readonly stride: number;
}

/** Rows that are computed together, and the first of them that is scored. */
export interface Pass {
  /** Rows stand at positions `from` up to, not including, `to`. */
  readonly from: number;
  readonly to: number;
  readonly scored: number;
}

/**
 * Passes over `rows` positions, in each of which a row sees `size` at most: the
 * first is scored whole, later ones in their last `stride` rows.
 */
export function cutPasses(rows: number, size: number, stride: number): Pass[] {
  const passes: Pass[] = [];
  for (let done = 0; done < rows;) {
    const to = Math.min(rows, done === 0 ? size : done + stride);
    passes.push({ from: Math.max(0, to - size), to, scored: done });
    done = to;
  }
  return passes;
}

/** Where stretches of the report end: powers of two times `size`, and all. */
export function stretches(tokens: number, size: number): number[] {
  const ends: number[] = [];
  for (let end = size; end < tokens; end *= 2) ends.push(end);
  return [...ends, tokens];
}

/** Perplexity of a text and of stretches of it. */
export interface StreamReport {
  readonly method: Method;
  readonly perplexity: Estimate;
  /** Each up to, not including, position `to` of the token foretold. */
  readonly stretches: readonly {
    readonly to: number;
    readonly value: number;
  }[];
  readonly rows: number;
  readonly seconds: number;
}

/** Scores `ids` pass by pass; `onRow` hears how many tokens are scored. */
export async function scorePasses(
  engine: Pick<Evaluated, "eachLogits">,
  ids: readonly number[],
  passes: readonly Pass[],
  ends: readonly number[],
  { bos, onRow }: {
    /** Put over the first token of each pass, where the model wants it. */
    readonly bos?: number | undefined;
    readonly onRow?: ((scored: number) => void) | undefined;
  } = {},
): Promise<Pick<StreamReport, "perplexity" | "stretches" | "rows">> {
  const whole = new Perplexity();
  const parts = ends.map((to) => ({ to, perplexity: new Perplexity() }));
  for (const { from, to, scored } of passes) {
    const part = ids.slice(from, to);
    if (bos !== undefined) part[0] = bos;
    await engine.eachLogits(part, (row, logits) => {
      const next = from + row + 1;
      const log = logits[ids[next]!]! - rowSum(logits).log;
      whole.add(log);
      parts.find((p) => next < p.to)!.perplexity.add(log);
      onRow?.(whole.count);
    }, { from: scored - from });
  }
  return {
    perplexity: whole.estimate,
    stretches: parts.map(({ to, perplexity }) => ({
      to,
      value: perplexity.estimate.value,
    })),
    rows: whole.count,
  };
}

/** How `load()` is asked for an engine that goes through a text this way. */
export function loadOptionsOf(method: Method, sizes: StreamSizes): LoadOptions {
  const { tokens, window, sinks } = sizes, size = window + sinks;
  // One request at a time.
  const alone = { parallel: 1 };
  switch (method) {
    case "recompute":
      return { ...alone, context: size };
    case "window":
      return {
        ...alone,
        context: tokens,
        plugins: [slidingWindow({ window: size })],
      };
    default: {
      // Beyond the first tokens, "near" puts every query at the same distance.
      const reach = method === "near" ? { reach: size } : {};
      const plugins = [slidingWindow({ window, sinks, ...reach })];
      return { ...alone, context: tokens, plugins };
    }
  }
}

/** Tells how far it is, on standard error. */
function teller(method: Method, rows: number): (done: number) => void {
  const started = performance.now(), terminal = Deno.stderr.isTerminal();
  let told = started;
  return (done) => {
    const now = performance.now(), left = rows - done;
    if (left > 0 && now - told < (terminal ? 200 : 10_000)) return;
    told = now;
    const seconds = Math.ceil((now - started) / done * left / 1000);
    const line = `${method}: ${done} of ${rows} tokens, ${seconds} s left`;
    const text = terminal ? `\r\x1b[K${left > 0 ? line : ""}` : `${line}\n`;
    Deno.stderr.writeSync(new TextEncoder().encode(text));
  };
}

/** Settings of one evaluation. */
interface Settings extends StreamSizes {
  readonly model: string;
  readonly text: string | URL;
  readonly methods: readonly Method[];
  readonly threads: number | undefined;
}

async function evaluate(
  settings: Settings,
  method: Method,
): Promise<StreamReport> {
  const { model, tokens, window, sinks, stride, threads } = settings;
  const text = await Deno.readTextFile(settings.text);
  const options = loadOptionsOf(method, settings);
  await using engine = await load(model, { ...options, threads });
  const { addBos, bos } = engine.tokenizer;
  const ids = engine.tokenizer.encode(text, { bos: addBos });
  if (ids.length < tokens) {
    throw new RangeError(
      `Cannot score ${tokens} tokens: the text has ${ids.length}, pass a longer one or fewer "--tokens"`,
    );
  }
  const rows = tokens - 1, size = window + sinks;
  const passes = method === "recompute"
    ? cutPasses(rows, size, stride)
    : [{ from: 0, to: rows, scored: 0 }];
  const started = performance.now();
  const figures = await scorePasses(
    engine,
    ids.slice(0, tokens),
    passes,
    stretches(tokens, size),
    { bos: addBos ? bos : undefined, onRow: teller(method, rows) },
  );
  const seconds = Math.round((performance.now() - started) / 1000);
  return { method, ...figures, seconds };
}

function settingsOf(argv: string[]): Settings {
  const args = parseArgs(argv, {
    string: [
      "text",
      "tokens",
      "window",
      "sinks",
      "stride",
      "methods",
      "threads",
    ],
    boolean: ["help"],
    unknown: (name) => {
      if (name.startsWith("-")) throw new TypeError(`Unknown option "${name}"`);
    },
  });
  const whole = (
    name: "tokens" | "window" | "sinks" | "stride" | "threads",
    least = 1,
  ): number | undefined => {
    const value = args[name];
    if (value === undefined) return undefined;
    if (/^\d+$/.test(value) && Number(value) >= least) return Number(value);
    throw new RangeError(
      `Cannot use "--${name} ${value}": a whole number from ${least} is wanted`,
    );
  };
  const methods = (args.methods ?? "sinks,window,recompute").split(",");
  const unknown = methods.find((m) => !METHODS.includes(m as Method));
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot use "--methods ${unknown}": ${METHODS.join(", ")} are possible`,
    );
  }
  const [model] = args._;
  if (model === undefined) throw new TypeError("A model is wanted");
  const window = whole("window") ?? 1020, sinks = whole("sinks", 0) ?? 4;
  const stride = whole("stride") ?? 64;
  if (stride > window + sinks) {
    throw new RangeError(
      `Cannot use "--stride ${stride}": up to ${
        window + sinks
      } tokens, window and sinks, are possible`,
    );
  }
  return {
    model: String(model),
    text: args.text ?? TEXT,
    tokens: whole("tokens", 2) ?? 20_000,
    window,
    sinks,
    stride,
    methods: methods as Method[],
    threads: whole("threads"),
  };
}

function print(
  { model, tokens, window, sinks, stride }: Settings,
  reports: readonly StreamReport[],
): void {
  console.log(
    `${model}: ${tokens} tokens, window ${window} + ${sinks} sinks, stride ${stride}; perplexity of each stretch of the text, and of all`,
  );
  const ends = reports[0]!.stretches.map(({ to }) => `…${to}`);
  const row = (cells: readonly string[]): void =>
    console.log(
      cells.map((c, i) => i === 0 ? c.padEnd(10) : c.padStart(10)).join(" "),
    );
  row(["", ...ends, "all", "±", "s"]);
  for (const { method, perplexity, stretches, seconds } of reports) {
    row([
      method,
      ...stretches.map(({ value }) => value.toFixed(3)),
      perplexity.value.toFixed(3),
      perplexity.error.toFixed(3),
      String(seconds),
    ]);
  }
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
    const reports: StreamReport[] = [];
    for (const method of settings.methods) {
      reports.push(await evaluate(settings, method));
    }
    print(settings, reports);
    const { model, tokens, window, sinks, stride } = settings;
    console.log(
      JSON.stringify({ model, tokens, window, sinks, stride, reports }),
    );
    return 0;
  } catch (error) {
    console.error((error as Error).message);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
