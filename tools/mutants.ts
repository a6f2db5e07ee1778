/**
 * Plants bugs and looks that tests catch them: a test that no bug can fail is
 * worth nothing.
 *
 * ```text
 *  deno task mutants [words of a name or a file]
 * ```
 * Names or files with one of the words given are chosen, all without any. Works
 * on copies of the tree in the folder for temporary files; two mutants at a time.
 *
 * @module
 */

// deno-lint-ignore-file no-console
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type Mutant, MUTANTS } from "./mutants/list.ts";
import { ROOT } from "./root.ts";

/** How many run at a time, each in a copy of its own. */
const LANES = 2;
/** A test run that is not over by then was caught too: it does not end. */
const SECONDS = 120;

type Outcome = "fails" | "passes" | "does not end";

/** Copies what git knows or would know. */
async function copyTree(to: string): Promise<void> {
  await Deno.mkdir(`${to}/.tmp`, { recursive: true });
  const root = fileURLToPath(ROOT);
  const list = execFileSync(
    "git",
    ["ls-files", "-z", "--cached", "--others", "--exclude-standard"],
    { cwd: root, encoding: "utf8", maxBuffer: 1 << 26 },
  );
  for (const path of new Set(list.split("\0"))) {
    if (path === "") continue;
    const folder = path.slice(0, Math.max(0, path.lastIndexOf("/")));
    await Deno.mkdir(`${to}/${folder}`, { recursive: true });
    try {
      await Deno.copyFile(`${root}/${path}`, `${to}/${path}`);
    } catch (e) {
      // Deleted, and git does not know yet.
      if (!(e instanceof Deno.errors.NotFound)) throw e;
    }
  }
}

/** Runs test files in a copy. */
async function runTests(
  tree: string,
  tests: readonly string[],
): Promise<Outcome> {
  const child = new Deno.Command("deno", {
    args: [
      "test",
      "--no-check",
      "--fail-fast",
      "--quiet",
      "--allow-read",
      "--allow-write=.tmp",
      "--allow-env",
      ...tests,
    ],
    cwd: tree,
    env: { TMPDIR: `${tree}/.tmp`, TMP: `${tree}/.tmp`, TEMP: `${tree}/.tmp` },
    stdout: "null",
    stderr: "null",
  }).spawn();
  let late = false;
  const timer = setTimeout(() => {
    late = true;
    child.kill();
  }, SECONDS * 1000);
  const { success } = await child.status;
  clearTimeout(timer);
  return late ? "does not end" : success ? "passes" : "fails";
}

/** Plants one bug, runs its tests and takes it out again. */
async function tryMutant(
  tree: string,
  { file, find, replace, tests }: Mutant,
): Promise<Outcome> {
  const path = `${tree}/${file}`;
  const text = await Deno.readTextFile(path);
  await Deno.writeTextFile(path, text.replace(find, () => replace));
  try {
    return await runTests(tree, tests);
  } finally {
    await Deno.writeTextFile(path, text);
  }
}

/** What is wrong with the list itself. */
async function faults(tree: string, all: readonly Mutant[]): Promise<string[]> {
  const out: string[] = [];
  for (const { name, file, find, replace } of all) {
    const text = await Deno.readTextFile(`${tree}/${file}`).catch(() => "");
    const times = text.split(find).length - 1;
    if (times !== 1) out.push(`"${name}": stands ${times} times in ${file}`);
    if (find === replace) out.push(`"${name}": changes nothing`);
  }
  return out;
}

/** Takes jobs one after the other, in several lanes. */
async function inLanes<T>(
  trees: readonly string[],
  jobs: readonly T[],
  work: (tree: string, job: T) => Promise<void>,
): Promise<void> {
  let next = 0;
  await Promise.all(trees.map(async (tree) => {
    while (next < jobs.length) await work(tree, jobs[next++]!);
  }));
}

async function main(words: readonly string[]): Promise<boolean> {
  const chosen = MUTANTS.filter(({ name, file }) =>
    words.length === 0 ||
    words.some((w) => name.includes(w) || file.includes(w))
  );
  const folder = await Deno.makeTempDir({ prefix: "mutants-" });
  try {
    const trees = Array.from({ length: LANES }, (_, i) => `${folder}/${i}`);
    for (const tree of trees) await copyTree(tree);
    const wrong = await faults(trees[0]!, chosen);
    wrong.forEach((line) => console.log(line));
    if (wrong.length > 0) return false;
    const tests = [...new Set(chosen.flatMap((m) => m.tests))];
    let sound = true;
    await inLanes(trees, tests, async (tree, test) => {
      if (await runTests(tree, [test]) === "passes") return;
      console.log(`${test} fails as it is: it can catch nothing`);
      sound = false;
    });
    if (!sound) return false;
    let caught = 0;
    await inLanes(trees, chosen, async (tree, mutant) => {
      const outcome = await tryMutant(tree, mutant);
      if (outcome !== "passes") caught++;
      const said = outcome === "passes"
        ? "NOT CAUGHT"
        : outcome === "fails"
        ? "caught"
        : `caught, ${outcome}`;
      console.log(`${said}: ${mutant.name} (${mutant.file})`);
    });
    console.log(`${caught} of ${chosen.length} mutants caught`);
    return caught === chosen.length;
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args) ? 0 : 1);
