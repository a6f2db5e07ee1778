/**
 * How much memory a model takes at most, measured in a process of its own:
 * another run before it in the same process would leave its pages behind.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import process from "node:process";
import type { Owner } from "../core/ledger.ts";
import { load } from "../engine/load.ts";
import { childDeno } from "./child_deno.ts";
import { promptsOf } from "./speed_cases.ts";
import { CASES } from "./speed_rows.ts";
import { tokenTimes } from "./speed_timing.ts";

/** How the model is loaded. */
export interface PeakMemoryOptions {
  readonly threads?: number | undefined;
  /** Tokens; default as for `load()`. */
  readonly context?: number | undefined;
  readonly build?: "simd" | "relaxed" | undefined;
}

/** What a run took at most, bytes. */
export interface PeakMemory {
  /** Resident bytes of the whole process at its largest. */
  readonly bytes: number;
  /** Most bytes of each owner in the engine's books. */
  readonly owners: Readonly<Record<Owner, number>>;
  /** Whether the process did nothing else. */
  readonly alone: boolean;
}

/**
 * Runs the memory case on `path`, in a child process where one may be started,
 * else in this one.
 *
 * @param path The model's file; nothing is downloaded.
 * @throws {Error} if the child fails, with what it said.
 */
export async function peakMemory(
  path: string,
  options: PeakMemoryOptions = {},
): Promise<PeakMemory> {
  const deno = childDeno();
  if (deno === undefined || !import.meta.url.startsWith("file:")) {
    return await peakMemoryHere(path, options);
  }
  const script = fileURLToPath(import.meta.url);
  const { success, stdout, stderr } = await new Deno.Command(deno, {
    args: [
      "run",
      "--quiet",
      "--no-prompt",
      "--allow-read",
      "--allow-env",
      script,
      path,
      JSON.stringify(options),
    ],
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  if (!success) {
    throw new Error(
      `Cannot measure the memory of "${path}": ${
        decoder.decode(stderr).trim().slice(0, 500)
      }`,
    );
  }
  return { ...JSON.parse(decoder.decode(stdout)), alone: true };
}

/** Runs the memory case in this process. */
export async function peakMemoryHere(
  path: string,
  options: PeakMemoryOptions = {},
): Promise<PeakMemory> {
  const work = CASES.memory as Extract<typeof CASES.memory, { make: number }>;
  await using engine = await load(path, options);
  const { context } = engine;
  const prompt = promptsOf(engine, 1);
  const make = Math.min(work.make, context - 1);
  await tokenTimes(engine, prompt(Math.min(work.prompt, context - make)), make);
  const owners = { weights: 0, activations: 0, kv: 0, workspace: 0 };
  for (const { owner, peak } of engine.memory().lines) owners[owner] += peak;
  return { bytes: peakResident(), owners, alone: false };
}

/**
 * Most resident bytes of this process so far (Linux: VmHWM, which counts shared
 * pages in full); where the system keeps no such number, those of now.
 */
export function peakResident(): number {
  return Math.max(
    process.resourceUsage().maxRSS * 1024,
    Deno.memoryUsage().rss,
  );
}

async function main([path, options]: readonly string[]): Promise<number> {
  try {
    const peak = await peakMemoryHere(path!, JSON.parse(options!));
    process.stdout.write(JSON.stringify(peak));
    return 0;
  } catch (error) {
    // The parent passes it on, so without the stack.
    process.stderr.write(error instanceof Error ? error.message : `${error}`);
    return 1;
  }
}

if (import.meta.main) Deno.exit(await main(Deno.args));
