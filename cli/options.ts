/**
 * The options of the command line, as data, and how they are read.
 *
 * @module
 */
import { parseArgs } from "@std/cli/parse-args";
import type { GenerateOptions, LoadOptions } from "../mod.ts";
import { QUANTIZE } from "../models/quantise_at_load.ts";
import { UsageError } from "./host.ts";
import { KV_FORMATS, type KvChoice, kvChoice } from "./kv.ts";
import { loraOptions } from "./lora.ts";
import { didYouMean } from "./nearest.ts";
import { pluginsOf } from "./plugins.ts";

/** Options belong together by what they are for. */
export type OptionGroup =
  | "load"
  | "plugins"
  | "kv"
  | "generate"
  | "bench"
  | "cli";

/** One option. */
export interface Option {
  /** Without its dashes. */
  readonly name: string;
  /** One letter that means the same. */
  readonly short?: string;
  readonly kind: "flag" | "text" | "list" | "whole" | "number" | "choice";
  /** What stands for the value in the help. */
  readonly value?: string;
  /** For a choice. */
  readonly choices?: readonly string[];
  readonly group: OptionGroup;
  /** Name of the field it fills. */
  readonly key: string;
  readonly help: string;
}

function option(
  group: OptionGroup,
  kind: Option["kind"],
  name: string,
  help: string,
  more: Partial<Pick<Option, "short" | "value" | "choices">> = {},
): Option {
  const key = name.replace(/-(\w)/g, (_, letter) => letter.toUpperCase());
  return { name, kind, group, key, help, ...more };
}

/** Options that every command takes. */
export const COMMON: readonly Option[] = [
  option("load", "whole", "threads", "compute workers, default: all cores", {
    value: "N",
  }),
  option("load", "whole", "context", "longest sequence, tokens", {
    value: "N",
  }),
  option("load", "text", "budget", 'working memory, "2GiB"', {
    value: "BYTES",
  }),
  option("load", "choice", "precision", "exact: everything in f32", {
    choices: ["fast", "exact"],
  }),
  option("load", "choice", "quantize", "round float weights when read", {
    choices: QUANTIZE,
  }),
  option("load", "choice", "backend", "what computes", {
    choices: ["auto", "wasm", "reference"],
  }),
  option("plugins", "whole", "window", "attend to the last N tokens only", {
    value: "N",
  }),
  option("plugins", "whole", "sinks", "and to the first N, with --window", {
    value: "N",
  }),
  option("plugins", "flag", "lookup", "guess repeated text, check it at once"),
  option(
    "plugins",
    "text",
    "offload",
    "host memory for prefixes and contexts",
    {
      value: "BYTES",
    },
  ),
  option("plugins", "text", "disk", "keep prefixes and contexts in files", {
    value: "DIR",
  }),
  option("plugins", "text", "disk-bytes", "most bytes of it, default 4GiB", {
    value: "BYTES",
  }),
  option("plugins", "whole", "checkpoint", "hidden states every N layers", {
    value: "N",
  }),
  option("plugins", "text", "redis", "share blocks over a Redis server", {
    value: "URL",
  }),
  option("plugins", "choice", "weights", "stream weights that do not fit", {
    choices: ["disk", "host"],
  }),
  option("plugins", "whole", "resident", "layers that stay, with --weights", {
    value: "N",
  }),
  option("plugins", "whole", "experts", "experts there at once, likewise", {
    value: "N",
  }),
  option("plugins", "whole", "block-tokens", "tokens in a K/V block", {
    value: "N",
  }),
  option("kv", "choice", "kv", "K and V as int8, int4, fp4, mxfp4 or auto", {
    choices: [...KV_FORMATS, "auto"],
    value: "FORMAT",
  }),
  option("kv", "choice", "kv-k", "K alone", {
    choices: KV_FORMATS,
    value: "FORMAT",
  }),
  option("kv", "choice", "kv-v", "V alone", {
    choices: KV_FORMATS,
    value: "FORMAT",
  }),
  option("kv", "number", "divergence", "most nats --kv auto costs", {
    value: "KLD",
  }),
  option("cli", "flag", "json", "print one JSON object"),
  option("cli", "flag", "help", "print this", { short: "h" }),
  option("cli", "flag", "version", "print the version", { short: "V" }),
];

/** Options of commands that make text. */
export const SAMPLING: readonly Option[] = [
  option("generate", "number", "temperature", "0: always the likeliest", {
    value: "T",
  }),
  option("generate", "whole", "top-k", "of the K likeliest, default 40", {
    value: "K",
  }),
  option("generate", "number", "top-p", "of those that reach P, default 0.95", {
    value: "P",
  }),
  option("generate", "number", "min-p", "at least P times the likeliest", {
    value: "P",
  }),
  option("generate", "whole", "seed", "same seed, same text", { value: "N" }),
  option("generate", "whole", "max-tokens", "most tokens to make", {
    value: "N",
  }),
  option("generate", "list", "stop", "end at this text; may be repeated", {
    value: "TEXT",
  }),
  option("generate", "number", "repetition-penalty", "1: none", {
    value: "X",
  }),
  option("generate", "number", "presence-penalty", "0: none", {
    value: "X",
  }),
  option("generate", "number", "frequency-penalty", "0: none", {
    value: "X",
  }),
  option("generate", "flag", "ignore-eos", "go on after the end of the text"),
];

/** Options of the commands that take the model as an option too. */
export const MODEL: Option = option(
  "cli",
  "text",
  "model",
  "name, path or address of the model",
  { short: "m", value: "MODEL" },
);

/** Option of `inspect`. */
export const TEMPLATE: Option = option(
  "cli",
  "flag",
  "template",
  "print the chat template and nothing else",
);

/** Option of `chat`. */
export const SYSTEM: Option = option(
  "cli",
  "text",
  "system",
  "what the model is told first",
  { value: "TEXT" },
);

/** Options of `chat` for conversations that go on another time. */
export const SESSION: readonly Option[] = [
  option("cli", "text", "session", "keep the conversation under this name", {
    value: "NAME",
  }),
  option("cli", "flag", "replay", "compute a session anew that does not fit"),
];

/** Option of commands that compute with adapters. */
export const LORA: readonly Option[] = [
  option("cli", "list", "lora", "add a LoRA adapter; may be repeated", {
    value: "NAME=PATH[:SCALE]",
  }),
];

/** Options of `bench`. */
export const BENCH: readonly Option[] = [
  option("bench", "text", "cases", "only these, separated by commas", {
    value: "NAMES",
  }),
  option("bench", "whole", "reps", "how often each is run, default 3", {
    value: "N",
  }),
];

/** A command line, read. Options that were not given are not there. */
export interface CliOptions {
  /** What is not an option, in order. */
  readonly operands: readonly string[];
  readonly load: LoadOptions;
  /** Fewer bits for K and V. */
  readonly kv?: KvChoice | undefined;
  readonly generate: GenerateOptions;
  readonly bench: { readonly cases?: string; readonly reps?: number };
  readonly json: boolean;
  readonly help: boolean;
  readonly version: boolean;
  readonly model: string | undefined;
  readonly system: string | undefined;
  /** Name or path of a session. */
  readonly session?: string | undefined;
  readonly replay?: boolean;
  /** Whether only the chat template is wanted. */
  readonly template?: boolean;
}

/**
 * Reads what follows a command's name.
 *
 * @throws {UsageError} for unknown options and values of the wrong kind.
 */
export function readOptions(
  args: readonly string[],
  known: readonly Option[],
): CliOptions {
  const named = (...kinds: Option["kind"][]): string[] =>
    known.filter((o) => kinds.includes(o.kind)).map((o) => o.name);
  const short = known.flatMap((o) => o.short === undefined ? [] : [o]);
  const parsed = parseArgs([...args], {
    boolean: named("flag"),
    string: ["_", ...named("text", "list", "whole", "number", "choice")],
    collect: named("list"),
    alias: Object.fromEntries(short.map((o) => [o.name, o.short!])),
    unknown: (arg, key) => key === undefined ? true : refuse(arg, known),
  }) as unknown as Record<string, unknown>;
  const groups: Record<OptionGroup, Record<string, unknown>> = {
    load: {},
    plugins: {},
    kv: {},
    generate: {},
    bench: {},
    cli: {},
  };
  for (const o of known) {
    const value = parsed[o.name];
    const absent = value === undefined || value === false ||
      (Array.isArray(value) && value.length === 0);
    if (!absent) groups[o.group][o.key] = valueOf(o, value);
  }
  const { cli } = groups;
  const plugins = pluginsOf(groups.plugins), kv = kvChoice(groups.kv);
  const load: LoadOptions = {
    ...groups.load,
    ...(plugins === undefined ? {} : { plugins }),
    ...(cli.lora === undefined ? {} : loraOptions(cli.lora as string[])),
  };
  return {
    operands: (parsed["_"] as unknown[]).map(String),
    load,
    ...(kv === undefined ? {} : { kv }),
    generate: groups.generate,
    bench: groups.bench,
    json: cli.json === true,
    help: cli.help === true,
    version: cli.version === true,
    model: cli.model as string | undefined,
    system: cli.system as string | undefined,
    ...(cli.session === undefined ? {} : { session: cli.session as string }),
    ...(cli.replay === undefined ? {} : { replay: true }),
    ...(cli.template === undefined ? {} : { template: true }),
  };
}

function refuse(arg: string, known: readonly Option[]): never {
  const given = arg.replace(/=.*$/s, "");
  const names = known.map((o) => `--${o.name}`);
  throw new UsageError(
    `Cannot use option "${given}": ${didYouMean(given, names)}`,
  );
}

function valueOf(o: Option, value: unknown): unknown {
  const wrong = (wanted: string): never => {
    throw new UsageError(
      `Cannot use "--${o.name}" with "${value}": ${wanted} is wanted`,
    );
  };
  switch (o.kind) {
    case "flag":
      return value;
    case "list":
      return (value as string[]).includes("") ? wrong("a text") : value;
    case "text":
      return value === "" ? wrong("a text") : value;
    case "choice":
      return o.choices!.includes(value as string)
        ? value
        : wrong(o.choices!.map((c) => `"${c}"`).join(" or "));
    default: {
      const number = value === "" ? NaN : Number(value);
      if (o.kind === "whole" && !Number.isSafeInteger(number)) {
        return wrong("a whole number");
      }
      return Number.isFinite(number) ? number : wrong("a number");
    }
  }
}

/** Options as lines of a help text. */
export function optionHelp(known: readonly Option[]): string {
  const rows = known.map((o) => {
    const value = o.value ?? o.choices?.join("|");
    const name = `${o.short ? `-${o.short}, ` : "    "}--${o.name}`;
    return [value === undefined ? name : `${name} ${value}`, o.help] as const;
  });
  const width = Math.max(...rows.map(([name]) => name.length));
  return rows.map(([name, help]) => `  ${name.padEnd(width)}  ${help}`)
    .join("\n");
}
