/**
 * llama.cpp's own benchmark as a contestant: what this machine can do without
 * a virtual machine in between.
 *
 * @module
 */
import { join } from "node:path";
import type { FigureName, SpeedCase } from "../evaluate/speed_rows.ts";
import {
  type Contestant,
  programError,
  type RunProgram,
  runProgram,
  type Setting,
} from "./contest.ts";
import { threadSettings } from "./peers.ts";

/** Prompt lengths and context depths of the cases it can run, tokens. */
const PROMPTS: Readonly<Partial<Record<SpeedCase, number>>> = {
  prefill32: 32,
  prefill128: 128,
  prefill512: 512,
};
const DEPTHS: Readonly<Partial<Record<SpeedCase, number>>> = {
  decode: 0,
  decode1000: 1000,
  decode4000: 4000,
};

/** Tokens made at each depth. */
const MAKE = 128;

/** `llama-bench` in `folder/build/bin`, flash attention off and on. */
export function native(
  folder: string,
  model: string,
  threads: number,
  run: RunProgram = runProgram,
): Contestant {
  const settings = threadSettings(threads).flatMap((s) =>
    [0, 1].map((flash): Setting => ({
      id: `${s.id}, flash ${flash ? "on" : "off"}`,
      threads: s.threads,
      args: ["-fa", String(flash)],
    }))
  );
  return {
    name: "native",
    settings,
    probe: (name) => name,
    can: (name) => name in PROMPTS || name in DEPTHS,
    async run(setting, cases) {
      const bench = async (args: readonly string[]): Promise<string> => {
        const output = await run(join(folder, "build", "bin", "llama-bench"), [
          "-m",
          model,
          "-t",
          String(setting.threads),
          "-r",
          "1",
          "-o",
          "json",
          ...setting.args,
          ...args,
        ]);
        if (!output.success) throw programError("llama-bench", output);
        return output.stdout;
      };
      const lengths = numbers(cases, PROMPTS), depths = numbers(cases, DEPTHS);
      const figures: Partial<Record<FigureName, number>> = {};
      // Two runs: one would also take each prompt at each depth.
      if (lengths !== "") {
        Object.assign(
          figures,
          nativeFigures(await bench(["-p", lengths, "-n", "0"])),
        );
      }
      if (depths !== "") {
        Object.assign(
          figures,
          nativeFigures(
            await bench(["-p", "0", "-n", String(MAKE), "-d", depths]),
          ),
        );
      }
      return { figures };
    },
  };
}

function numbers(
  cases: readonly SpeedCase[],
  of: Readonly<Partial<Record<SpeedCase, number>>>,
): string {
  return cases.map((c) => of[c]).filter((n) => n !== undefined).join(",");
}

/** A test of `llama-bench -o json`, as far as it is read. */
interface NativeTest {
  readonly n_prompt: number;
  readonly n_gen: number;
  readonly n_depth: number;
  readonly avg_ts: number;
}

/** Figures of what `llama-bench -o json` prints; tests of other kinds are left out. */
export function nativeFigures(
  json: string,
): Partial<Record<FigureName, number>> {
  const figures: Partial<Record<FigureName, number>> = {};
  const named = (
    of: Readonly<Partial<Record<SpeedCase, number>>>,
    wanted: number,
  ): FigureName | undefined =>
    Object.entries(of).find(([, n]) => n === wanted)?.[0] as FigureName;
  for (const test of JSON.parse(json) as NativeTest[]) {
    const { n_prompt, n_gen, n_depth, avg_ts } = test;
    const name = n_gen === 0 && n_depth === 0
      ? named(PROMPTS, n_prompt)
      : n_prompt === 0
      ? named(DEPTHS, n_depth)
      : undefined;
    if (name !== undefined) figures[name] = avg_ts;
  }
  return figures;
}
