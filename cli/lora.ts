/**
 * `--lora NAME=PATH[:SCALE]`: adapters of a command line, all of which are used.
 *
 * @module
 */
import type { AdapterUse, LoadOptions } from "../mod.ts";
import { UsageError } from "./host.ts";

/**
 * What `load()` is given for the values of `--lora`. A number behind the last colon is
 * the scale; a path that ends so is followed by ":1".
 *
 * @throws {UsageError} for what has no name or no path, and for a name given twice.
 */
export function loraOptions(
  values: readonly string[],
): Pick<LoadOptions, "adapters" | "use"> {
  const adapters = new Map<string, string>(), use: AdapterUse[] = [];
  for (const value of values) {
    const [, name, rest = ""] = /^([^=]+)=(.+)$/s.exec(value) ?? [];
    const [, path = rest, scale = "1"] =
      /^(.+):([+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?)$/is.exec(rest) ?? [];
    if (name === undefined || path === "") {
      throw new UsageError(
        `Cannot use "--lora" with "${value}": NAME=PATH or NAME=PATH:SCALE is wanted`,
      );
    }
    if (adapters.has(name)) {
      throw new UsageError(
        `Cannot use "--lora" with "${value}": "${name}" is given twice, take another name`,
      );
    }
    adapters.set(name, path);
    use.push({ name, scale: Number(scale) });
  }
  return { adapters: Object.fromEntries(adapters), use };
}
