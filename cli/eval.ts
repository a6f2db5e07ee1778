/**
 * `quire eval`: what ways to keep K and V cost in accuracy.
 *
 * @module
 */
import type { Candidate } from "../evaluate/candidates.ts";
import type { EvaluationOptions } from "../evaluate/evaluation.ts";
import type { KvFormat, LoadOptions } from "../mod.ts";
import { type Command, onlyModel } from "./command.ts";
import { evalTable } from "./eval_table.ts";
import { UsageError } from "./host.ts";
import { kvPluginOf } from "./kv.ts";
import { openModel, pullModel } from "./open.ts";
import {
  type CliOptions,
  COMMON,
  LORA,
  MODEL,
  type Option,
} from "./options.ts";
import { Remaining } from "./remaining.ts";

/** Options of `eval`. */
export const EVAL: readonly Option[] = [
  option("text", "text", "text to foretell, in UTF-8", "FILE"),
  option("text", "candidates", "ways to keep K and V, see above", "LIST"),
  option("flag", "exact", "candidates in exact precision too"),
  option("whole", "chunks", "most chunks of the text, default all", "N"),
  option("whole", "size", "tokens in a chunk, default 512", "N"),
  option("flag", "retrieval", "ask for keys hidden in long texts"),
  option("text", "lengths", "their tokens, default 512,1024,2048", "LIST"),
  option("flag", "agreement", "compare greedy texts"),
  option("flag", "alone", "perplexity only, without the reference"),
];

/** Settings that an evaluation makes itself. */
const OWN: ReadonlySet<string> = new Set(["precision", "context"]);

function option(
  kind: Option["kind"],
  name: string,
  help: string,
  value?: string,
): Option {
  const more = value === undefined ? {} : { value };
  return { name, kind, group: "bench", key: name, help, ...more };
}

/** `EVAL` as it is read. */
interface Given {
  readonly text?: string;
  readonly candidates?: string;
  readonly exact?: boolean;
  readonly chunks?: number;
  readonly size?: number;
  readonly retrieval?: boolean;
  readonly lengths?: string;
  readonly agreement?: boolean;
  readonly alone?: boolean;
}

/** Perplexity, divergence from the exact run, retrieval and greedy agreement. */
export const evaluation: Command = {
  name: "eval",
  operands: "MODEL",
  summary: "judge ways to keep K and V by the exact run of the model",
  details:
    `A text is cut into chunks; the second half of each is foretold and compared with
the exact run, as llama.cpp's perplexity tool does it. --candidates is a list of
formats, of K and V or of each: "none,int8,int8/int4,auto"; without it, the model
is measured as it runs with the other options. --json FILE.json writes the figures
to a file (--allow-write of it) and prints the table; --json alone prints them.`,
  options: [
    MODEL,
    ...EVAL,
    ...LORA,
    ...COMMON.filter((o) => !OWN.has(o.name)),
  ],
  async run(options, host, signal) {
    const { model, file } = targetOf(options);
    const settings = await settingsOf(model, options);
    // Found now, not at the end; what is there stays until there is something new.
    if (file !== undefined) {
      await Deno.writeTextFile(file, "", { append: true });
    }
    await pullModel(model, host, signal);
    const { evaluate } = await import("../evaluate/evaluation.ts");
    const remaining = new Remaining(host);
    const open = (load: LoadOptions) => {
      remaining.clear();
      return openModel(
        model,
        { ...options, load, kv: undefined },
        host,
        signal,
      );
    };
    const report = await evaluate({
      ...settings,
      model,
      open,
      onProgress: remaining.tell,
      signal,
    }).finally(() => remaining.clear());
    if (options.json && file === undefined) {
      host.out(`${JSON.stringify(report)}\n`);
      return 0;
    }
    if (file !== undefined) {
      await Deno.writeTextFile(file, `${JSON.stringify(report, null, 2)}\n`);
    }
    host.out(evalTable(report));
    return 0;
  },
};

/** The model, and the file that `--json` is followed by: the operand named so. */
function targetOf(options: CliOptions): { model: string; file?: string } {
  const { operands, json } = options;
  const file = json ? operands.find((o) => o.endsWith(".json")) : undefined;
  const others = operands.filter((o) => o !== file);
  const model = onlyModel("eval", { ...options, operands: others });
  return file === undefined ? { model } : { model, file };
}

type Settings = Omit<EvaluationOptions, "model" | "open">;

async function settingsOf(
  model: string,
  options: CliOptions,
): Promise<Settings> {
  const given = options.bench as Given;
  const { exact = false, alone = false, agreement = false, size = 512 } = given;
  if (given.text === undefined) {
    throw new UsageError('Cannot evaluate without a text: "--text FILE"');
  }
  for (const name of ["chunks", "size"] as const) {
    const value = given[name];
    if (value === undefined || value > 0) continue;
    throw new UsageError(
      `Cannot use "--${name}" with "${value}": a whole number above 0 is wanted`,
    );
  }
  if (alone && (given.retrieval || agreement)) {
    throw new UsageError(
      'Cannot use "--alone" here: "--retrieval" and "--agreement" compare with the reference',
    );
  }
  if (given.lengths !== undefined && !given.retrieval) {
    throw new UsageError(
      'Cannot use "--lengths" alone: "--retrieval" is wanted too',
    );
  }
  const { plugins: _, ...load } = options.load;
  return {
    load,
    candidates: await candidatesOf(model, given.candidates, options),
    size,
    chunks: given.chunks ?? Infinity,
    exact,
    alone,
    agreement,
    lengths: given.retrieval ? lengthsOf(given.lengths) : undefined,
    text: await textOf(given.text),
  };
}

async function candidatesOf(
  model: string,
  list: string | undefined,
  { load: { plugins }, kv }: CliOptions,
): Promise<readonly Candidate[]> {
  const { parseCandidates, plain } = await import(
    "../evaluate/candidates.ts"
  );
  if (list === undefined) {
    if (kv === undefined && plugins === undefined) return [plain()];
    const base = plugins ?? plain().plugins;
    const codecs = kv === undefined ? [] : [await kvPluginOf(kv, model)];
    return [{ name: undefined, plugins: [...base, ...codecs] }];
  }
  if (kv !== undefined) {
    throw new UsageError(
      'Cannot use "--kv" with "--candidates": add its format to the list',
    );
  }
  try {
    return await parseCandidates(
      list,
      plugins,
      (k, v) =>
        kvPluginOf(
          k === "auto" && v === "auto"
            ? { auto: undefined }
            : { k: k as KvFormat, v: v as KvFormat },
          model,
        ),
    );
  } catch (error) {
    if (error instanceof RangeError) throw new UsageError(error.message);
    throw error;
  }
}

function lengthsOf(list = "512,1024,2048"): readonly number[] {
  return list.split(",").map((text) => {
    if (/^[1-9]\d*$/.test(text.trim())) return Number(text);
    throw new UsageError(
      `Cannot use "--lengths" with "${text}": whole numbers above 0 are wanted, separated by commas`,
    );
  });
}

/** A text of the user's; a UsageError where there is none. */
export async function textOf(path: string): Promise<string> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    throw new UsageError(
      `Cannot read text "${path}": there is no such file, pass one in UTF-8`,
    );
  }
}
