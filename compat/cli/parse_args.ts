/**
 * `parseArgs` of `@std/cli`, on the tokens of Node's own parser.
 *
 * @module
 */

import { parseArgs as tokenize } from "node:util";

type Names<T extends string> = T | readonly T[];

/** How arguments are read. Every name is written without its dashes. */
export interface ParseOptions<
  B extends string = string,
  S extends string = string,
  C extends string = string,
  D extends Record<string, unknown> = Record<string, unknown>,
> {
  /** Options that take no value; false when not given. */
  boolean?: Names<B>;
  /** Options whose value stays a string, "" when it is missing. */
  string?: Names<S>;
  /** Options that may be given many times and come as an array. */
  collect?: Names<C>;
  /** Boolean options that `--no-NAME` turns off. */
  negatable?: Names<B>;
  /** Other names of an option; a value is stored under all of them. */
  alias?: Readonly<Record<string, string | readonly string[]>>;
  /** Values of options that were not given. */
  default?: D;
  /** Whether all that follows the first operand is an operand too. */
  stopEarly?: boolean;
  /** Whether what follows `--` goes into a field of that name, not into `_`. */
  "--"?: boolean;
  /** Called with each argument no other field names; false leaves it out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Value<T, K, D> = K extends keyof D ? T | D[K] : T | undefined;

/** What {@linkcode parseArgs} returns: operands in `_`, options by name. */
export type Args<
  B extends string = never,
  S extends string = never,
  C extends string = never,
  // deno-lint-ignore ban-types
  D = {},
> =
  & { _: (string | number)[]; "--"?: string[] }
  & { [K in Exclude<B, C>]: boolean }
  & { [K in Exclude<S, C>]: Value<string, K, D> }
  & { [K in C]: string[] }
  & { [K in Exclude<keyof D, B | S | C>]: D[K] };

/**
 * Reads command line arguments into an object.
 *
 * @example
 * ```ts
 * import { parseArgs } from "@std/cli/parse-args";
 *
 * parseArgs(["run", "--json", "--seed", "7"], { boolean: ["json"], string: ["seed"] });
 * // { _: ["run"], json: true, seed: "7" }
 * ```
 */
export function parseArgs<
  const B extends string = never,
  const S extends string = never,
  const C extends string = never,
  // deno-lint-ignore ban-types
  const D extends Record<string, unknown> = {},
>(
  args: readonly string[],
  options: ParseOptions<B, S, C, D> = {},
): Args<B, S, C, D> {
  const booleans = new Set<string>(list(options.boolean));
  const strings = new Set<string>(list(options.string));
  const collect = new Set<string>(list(options.collect));
  const aliases = aliasSets(options.alias ?? {});
  const all = (name: string): ReadonlySet<string> =>
    aliases.get(name) ?? new Set([name]);
  const isIn = (set: ReadonlySet<string>, name: string) =>
    !all(name).isDisjointFrom(set);

  const result: Record<string, unknown> & { _: (string | number)[] } = {
    _: [],
  };
  const given = new Set<string>();
  const set = (name: string, value: unknown) => {
    for (const key of all(name)) {
      given.add(key);
      if (!isIn(collect, name)) result[key] = value;
      else {result[key] = [
          ...Array.isArray(result[key]) ? result[key] : [],
          value,
        ];}
    }
  };
  const operand = (text: string) => {
    if (options.unknown?.(text) === false) return;
    result._.push(strings.has("_") ? text : numeric(text));
  };

  const spec: Record<string, { type: "boolean" | "string"; short?: string }> =
    {};
  for (const name of [...booleans, ...strings, ...collect, ...aliases.keys()]) {
    const wanted = isIn(booleans, name) ||
      !(isIn(strings, name) || isIn(collect, name));
    spec[name] = { type: wanted ? "boolean" : "string" };
    if (name.length === 1) spec[name].short = name;
  }
  const { tokens } = tokenize({
    args: [...args],
    options: spec,
    strict: false,
    tokens: true,
  });
  const rest: string[] = [];
  for (let i = 0, ended = false; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token.kind === "option-terminator") {
      ended = true;
    } else if (token.kind === "positional") {
      if (ended) {
        if (options["--"]) rest.push(token.value);
        else result._.push(token.value);
      } else if (options.stopEarly) {
        result._.push(...args.slice(token.index));
        break;
      } else {
        operand(token.value);
      }
    } else {
      const { name, value } = token;
      const positive = name.startsWith("no-") ? name.slice(3) : undefined;
      if (isIn(booleans, name)) {
        set(name, value === undefined || value !== "false");
      } else if (isIn(strings, name) || isIn(collect, name)) {
        set(name, value ?? "");
      } else if (
        positive !== undefined &&
        isIn(new Set(list(options.negatable)), positive)
      ) {
        set(positive, false);
      } else {
        const next = tokens[i + 1];
        const follows = value === undefined && next?.kind === "positional" &&
          next.index === token.index + 1;
        if (follows) i++;
        const found = value ?? (follows ? next.value : undefined);
        const read = found === undefined ? true : numeric(found);
        if (options.unknown?.(args[token.index]!, name, read) !== false) {
          set(name, read);
        }
      }
    }
  }

  const missing = (name: string) => !given.has(name);
  for (const [name, value] of Object.entries(options.default ?? {})) {
    if (missing(name)) { for (const key of all(name)) result[key] = value; }
  }
  for (const name of [...booleans, ...collect].filter(missing)) {
    for (const key of all(name)) result[key] ??= collect.has(name) ? [] : false;
  }
  if (options["--"]) result["--"] = rest;
  return result as Args<B, S, C, D>;
}

function list<T extends string>(names: Names<T> | undefined): readonly T[] {
  if (names === undefined) return [];
  return typeof names === "string" ? [names] : names;
}

/** Each name with all names of the same option, itself among them. */
function aliasSets(
  alias: Readonly<Record<string, string | readonly string[]>>,
): Map<string, ReadonlySet<string>> {
  const sets = new Map<string, ReadonlySet<string>>();
  for (const [name, others] of Object.entries(alias)) {
    const set = new Set([name, ...list(others)]);
    for (const key of set) sets.set(key, set);
  }
  return sets;
}

function numeric(text: string): string | number {
  return /^(0x[0-9a-f]+|[-+]?(\d+(\.\d*)?|\.\d+)(e[-+]?\d+)?)$/i.test(text)
    ? Number(text)
    : text;
}
