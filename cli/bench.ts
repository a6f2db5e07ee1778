/**
 * `quire bench`: measures how fast a model runs.
 *
 * @module
 */
import { type Command, onlyModel } from "./command.ts";
import { UsageError } from "./host.ts";
import { pullModel } from "./open.ts";
import { BENCH, COMMON, MODEL } from "./options.ts";

/** Settings the figures are not made for. */
const FIXED = ["budget", "precision", "backend", "quantize"] as const;

/** Measures prefill, decode, batches, load time and memory of the default run. */
export const bench: Command = {
  name: "bench",
  operands: "MODEL",
  summary: "measure tokens per second, load time and memory",
  details:
    "It measures the default run, so --budget, --precision, --backend and --quantize are refused.",
  options: [MODEL, ...BENCH, ...COMMON],
  async run(options, host, signal) {
    const model = onlyModel("bench", options);
    for (const name of FIXED) {
      if (options.load[name] === undefined) continue;
      throw new UsageError(
        `Cannot measure with "--${name}": figures are those of the default run, leave it out`,
      );
    }
    if (options.load.plugins !== undefined || options.kv !== undefined) {
      throw new UsageError(
        "Cannot measure with memory strategies: figures are those of the default run, leave their options out",
      );
    }
    const [{ measureSpeed, speedTable }, { casesOf }] = await Promise.all([
      import("../evaluate/speed.ts"),
      import("../evaluate/speed_rows.ts"),
    ]);
    const { cases, reps } = options.bench;
    const chosen = cases === undefined ? undefined : casesOf(cases.split(","));
    await pullModel(model, host, signal);
    const { threads, context } = options.load;
    const watched = host.terminal.err;
    const figures = await measureSpeed(model, {
      cases: chosen,
      reps,
      threads,
      context,
      signal,
      onCase: (name) => {
        if (watched) host.err(`\rmeasuring ${name}\x1b[K`);
      },
    });
    if (watched) host.err("\r\x1b[K");
    host.out(
      options.json
        ? `${JSON.stringify(figures)}\n`
        : `${speedTable(figures).trimEnd()}\n`,
    );
    return 0;
  },
};
