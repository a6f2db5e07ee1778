/**
 * How models write calls of functions, by what their chat templates say.
 *
 * @module
 */
import { CallReader } from "./call_reader.ts";
import type { Reader } from "./reader.ts";

/** A convention of some family of models. */
export interface Dialect {
  readonly name: string;
  /** Whether a template writes it. */
  readonly speaks: (template: string) => boolean;
  /** Reads what a model of it says. */
  readonly reader: (names: ReadonlySet<string>) => Reader;
}

/** All that are known; the first that fits is taken. */
export const DIALECTS: readonly Dialect[] = [
  {
    // Mistral: [TOOL_CALLS][{"name": …, "arguments": …}]
    name: "mistral",
    speaks: (template) => template.includes("[TOOL_CALLS]"),
    reader: (names) => new CallReader({ open: "[TOOL_CALLS]" }, names),
  },
  {
    // Hermes, Qwen and many more: <tool_call>{…}</tool_call>, one or several;
    // SmolLM2: a list of them in one.
    name: "hermes",
    speaks: (template) => template.includes("<tool_call>"),
    reader: (names) =>
      new CallReader({ open: "<tool_call>", close: "</tool_call>" }, names),
  },
  {
    // Llama 3: the answer is {"name": …, "parameters": …}
    name: "llama3",
    speaks: (template) =>
      /<\|python_tag\|>|Environment: ipython/.test(template),
    reader: (names) => new CallReader({}, names),
  },
];

/** The dialect of a template; undefined where it takes no functions, or none we read. */
export function dialectOf(template: string | undefined): Dialect | undefined {
  if (template === undefined || !/\btools\b/.test(template)) return undefined;
  return DIALECTS.find((d) => d.speaks(template));
}
