/**
 * `quire calibrate`: measures what codecs of K and V want to know of a model.
 *
 * @module
 */
import { load, writeCalibration } from "../mod.ts";
import { type Command, onlyModel } from "./command.ts";
import { textOf } from "./eval.ts";
import { UsageError } from "./host.ts";
import { pullModel } from "./open.ts";
import { COMMON, MODEL, type Option } from "./options.ts";
import { Remaining } from "./remaining.ts";

/** Options of `calibrate`. */
const CALIBRATE: readonly Option[] = [
  {
    name: "text",
    key: "text",
    kind: "text",
    group: "bench",
    value: "FILE",
    help: "text to measure on, in UTF-8",
  },
  {
    name: "tokens",
    key: "tokens",
    kind: "whole",
    group: "bench",
    value: "N",
    help: "most of it for the middle of K, default 4096",
  },
  {
    name: "centre-only",
    key: "centreOnly",
    kind: "flag",
    group: "bench",
    help: "the middle of K only, without each layer's losses",
  },
];

/** Options of all commands that mean something here. */
const TAKEN: ReadonlySet<string> = new Set([
  "threads",
  "json",
  "help",
  "version",
]);

interface Given {
  readonly text?: string;
  readonly tokens?: number;
  readonly centreOnly?: boolean;
}

/** Writes `<model>.kv.json` beside the model. */
export const calibration: Command = {
  name: "calibrate",
  operands: "MODEL",
  summary: "measure what K and V lose in fewer bits, for --kv auto and fp4",
  details:
    `Runs a text in exact precision, once for each layer's K and V: minutes. The result
is written beside the model as "<file>.kv.json" and holds for these weights only.
Choose a text as long as those the model will see, and another than the one that
results are judged by.`,
  options: [
    MODEL,
    ...CALIBRATE,
    ...COMMON.filter((o) => TAKEN.has(o.name)),
  ],
  async run(options, host, signal) {
    const model = onlyModel("calibrate", options);
    const { text, tokens, centreOnly = false } = options.bench as Given;
    if (text === undefined) {
      throw new UsageError('Cannot calibrate without a text: "--text FILE"');
    }
    if (tokens !== undefined && tokens < 1) {
      throw new UsageError(
        `Cannot use "--tokens" with "${tokens}": a whole number above 0 is wanted`,
      );
    }
    const content = await textOf(text);
    const path = await pullModel(model, host, signal);
    const { calibrate } = await import("../evaluate/calibrate.ts");
    const remaining = new Remaining(host);
    const { threads } = options.load;
    const made = await calibrate({
      // A bar for each of so many loads would hide how much is left.
      open: (wanted) => load(path, { ...wanted, threads, signal }),
      text: content,
      ...(tokens === undefined ? {} : { tokens }),
      losses: !centreOnly,
      onProgress: remaining.tell,
      signal,
    }).finally(() => remaining.clear());
    const file = await writeCalibration(path, made);
    const { losses } = made;
    host.out(
      options.json
        ? `${JSON.stringify({ file, tokens: made.tokens, losses })}\n`
        : `${file}: ${made.tokens} tokens, ${
          losses === undefined
            ? "no losses"
            : `INT8 ${losses.int8.toExponential(2)}, INT4 by layer ${
              losses.int4.map(({ k, v }) => (k + v).toExponential(1)).join(" ")
            }`
        }\n`,
    );
    return 0;
  },
};
