/**
 * Reads every import line and fails on one that crosses the folders the wrong
 * way, or that code imported by URL could not resolve.
 *
 * ```text
 * core ◀── plugins          core ◀── engine, models, wasm, server, …
 * core ◀── wasm, models ◀── engine, plugins ◀── server
 *                           engine, core, plugins ◀── mod.ts ◀── examples
 * ```
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { posix } from "node:path";
import { ROOT } from "./root.ts";

/** What a folder may import; "." is the files beside `deno.json`. */
interface Rule {
  /** Folders, its own included. */
  readonly folders: readonly string[];
  /** Whether npm libraries may be used. */
  readonly npm: boolean;
  /** Folders whose `testing/` its tests may import too. */
  readonly tests?: readonly string[];
  readonly says: string;
}

const INNER = ["core", "plugins", "wasm", "models"];
const ALL = [
  ...INNER,
  "engine",
  "server",
  "evaluate",
  "examples",
  "bench",
  "cli",
  "tools",
  ".",
];

const RULES: Readonly<Record<string, Rule>> = {
  core: {
    folders: ["core"],
    npm: false,
    says: "core/ imports nothing outside core/",
  },
  plugins: {
    folders: ["core", "plugins"],
    npm: true,
    says: "plugins/ import core/ and npm libraries only, never one another",
  },
  wasm: {
    folders: ["core", "wasm"],
    npm: false,
    says: "wasm/ imports core/ only",
  },
  models: {
    folders: ["core", "models"],
    npm: true,
    says: "models/ imports core/ and npm libraries only",
  },
  engine: {
    folders: [...INNER, "engine"],
    npm: true,
    says: "engine/ imports core/, plugins/, wasm/ and models/ only",
  },
  server: {
    folders: ["core", "engine", "plugins", "server"],
    npm: true,
    tests: ["models", "plugins"],
    says: "server/ imports engine/, plugins/ and core/ only",
  },
  evaluate: {
    folders: [...INNER, "engine", "evaluate", "."],
    npm: true,
    says: "evaluate/ imports what runs a model only",
  },
  examples: {
    folders: ["examples", "server", "."],
    npm: true,
    tests: ["models"],
    says: "examples/ import mod.ts",
  },
  compat: {
    folders: ["compat"],
    npm: true,
    says: "compat/ imports nothing of this project",
  },
};

/** What everything else may import: cli.ts, bench/, tools/, tests of the whole. */
const ANYTHING: Rule = {
  folders: ALL,
  npm: true,
  says: "nothing imports this folder",
};

/** An npm specifier of one exact version. */
const PINNED = /^npm:(@[\w.-]+\/)?[\w.-]+@\d+\.\d+\.\d+[\w.+-]*(\/.+)?$/;

/** One import line. */
interface Import {
  readonly line: number;
  readonly specifier: string;
}

// At the start of a line, so that an example in a comment is not an import.
const LINES: readonly RegExp[] = [
  /^(?:import|export)\s[^"';]*?\sfrom\s+["']([^"'\n]+)["']/gm,
  /^import\s*["']([^"'\n]+)["']/gm,
  /^(?!\s*(?:\/\/|\*)).*?\bimport\(\s*["']([^"'\n]+)["']/gm,
  /^(?!\s*(?:\/\/|\*)).*?\bnew URL\(\s*["'](\.[^"'\n]+\.ts)["'],\s*import\.meta\.url/gm,
];

/** All imports of a file: static, dynamic, and the modules of workers. */
function importsOf(text: string): Import[] {
  return LINES.flatMap((pattern) =>
    [...text.matchAll(pattern)].map((match) => ({
      line: text.slice(0, match.index).split("\n").length,
      specifier: match[1]!,
    }))
  ).sort((a, b) => a.line - b.line);
}

function folderOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : ".";
}

/** Tests may compare anything in their reach; they are not part of what users import. */
function isTest(path: string): boolean {
  return /_test\.ts$|_bench\.ts$|(^|\/)testing\//.test(path);
}

/** The plugin a file belongs to: its own name, or its folder under `plugins/`. */
function pluginOf(path: string): string {
  return path.split("/")[1]!.replace(/\.ts$/, "");
}

/** Whether it is a part of the file's family: `plugins/kv/x.ts` of `plugins/kv_y.ts`. */
function shares(path: string, target: string): boolean {
  const [, family, file] = target.split("/");
  return file !== undefined && pluginOf(path).startsWith(`${family}_`);
}

/**
 * What is wrong with the imports of `files` (path from the root to text), one
 * line each, empty if nothing is.
 */
export function violations(files: ReadonlyMap<string, string>): string[] {
  const found: string[] = [];
  const imports = new Map(
    [...files].map(([path, text]) => [path, importsOf(text)]),
  );
  const reachable = new Set(
    ["mod.ts", "server/mod.ts"].flatMap((entry) => [...reach(entry, imports)]),
  );
  for (const [path, list] of imports) {
    const folder = folderOf(path);
    const rule = RULES[folder] ?? ANYTHING;
    for (const { line, specifier } of list) {
      const refuse = (why: string) =>
        found.push(`${path}:${line} imports "${specifier}": ${why}`);
      if (specifier.startsWith(".")) {
        const target = posix.join(posix.dirname(path), specifier);
        const to = folderOf(target);
        const helps = isTest(path) && target.includes("/testing/") &&
          rule.tests?.includes(to);
        if (!rule.folders.includes(to) && !helps) refuse(rule.says);
        else if (
          folder === "plugins" && to === "plugins" && !isTest(path) &&
          pluginOf(path) !== "mod" && pluginOf(path) !== pluginOf(target) &&
          !shares(path, target)
        ) refuse(rule.says);
        else if (folder === "." && path === "mod.ts" && !MOD.includes(to)) {
          refuse("mod.ts reaches what users import only");
        } else if (
          !isTest(path) && isTest(target) && !target.includes("/testing/")
        ) {
          refuse("a test is imported by no other file");
        }
      } else if (specifier.startsWith("npm:")) {
        if (!rule.npm && !isTest(path)) refuse(rule.says);
        else if (!PINNED.test(specifier)) {
          refuse("wanted one exact version, npm:name@1.2.3");
        }
      } else if (specifier.startsWith("node:")) {
        if (folder === "core" && !isTest(path)) refuse(rule.says);
      } else if (reachable.has(path)) {
        refuse("mod.ts reaches it, wanted a relative, npm: or node: specifier");
      } else if (!isTest(path) && !/^(@std\/|\w+:)/.test(specifier)) {
        refuse("wanted a relative, npm:, node: or @std/ specifier");
      }
    }
  }
  return found;
}

const MOD: readonly string[] = [...INNER, "engine", "server", "."];

/** The files that importing `start` may load, now or later. */
function reach(
  start: string,
  imports: ReadonlyMap<string, readonly Import[]>,
): Set<string> {
  const seen = new Set<string>();
  const visit = (path: string): void => {
    if (seen.has(path) || !imports.has(path)) return;
    seen.add(path);
    for (const { specifier } of imports.get(path)!) {
      if (specifier.startsWith(".")) {
        visit(posix.join(posix.dirname(path), specifier));
      }
    }
  };
  visit(start);
  return seen;
}

const SKIPPED = /^(\.|node_modules$|generated$|assembly$|coverage$)/;

async function readAll(
  folder: string,
  files: Map<string, string>,
): Promise<void> {
  for await (
    const { name, isDirectory } of Deno.readDir(new URL(folder, ROOT))
  ) {
    if (SKIPPED.test(name)) continue;
    const path = folder + name;
    if (isDirectory) await readAll(`${path}/`, files);
    else if (name.endsWith(".ts")) {
      files.set(path, await Deno.readTextFile(new URL(path, ROOT)));
    }
  }
}

async function main(): Promise<number> {
  const files = new Map<string, string>();
  await readAll("", files);
  const found = violations(files);
  for (const line of found) console.error(line);
  console.log(
    `Checked the imports of ${files.size} files, ${found.length} against the rules`,
  );
  return found.length;
}

if (import.meta.main) Deno.exit(await main() === 0 ? 0 : 1);
