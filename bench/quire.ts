/**
 * Quire as a contestant: each run is a new process, as it is for the peers.
 *
 * @module
 */
import { fileURLToPath } from "node:url";
import { childDeno } from "../evaluate/child_deno.ts";
import type { SpeedFigures } from "../evaluate/speed.ts";
import type { FigureName } from "../evaluate/speed_rows.ts";
import {
  type Contestant,
  programError,
  type RunProgram,
  runProgram,
} from "./contest.ts";

/** Quire on the model file `path`. */
export function quireContestant(
  path: string,
  threads: number,
  run: RunProgram = runProgram,
): Contestant {
  const script = fileURLToPath(new URL("./main.ts", import.meta.url));
  return {
    name: "quire",
    settings: [{ id: `${threads} threads`, threads, args: [] }],
    probe: (name) => name,
    can: () => true,
    async run(setting, cases) {
      const deno = childDeno() ?? "deno";
      const output = await run(deno, [
        "run",
        "--quiet",
        "--no-prompt",
        "--allow-read",
        "--allow-env",
        // For the memory case, which is a process of its own.
        `--allow-run=${deno}`,
        script,
        path,
        "--json",
        "--reps",
        "1",
        "--threads",
        String(setting.threads),
        "--cases",
        cases.join(","),
        ...setting.args,
      ]);
      if (!output.success) throw programError("Quire", output);
      return { figures: quireFigures(output.stdout) };
    },
  };
}

/** The medians of a line of `bench --json`. */
export function quireFigures(
  line: string,
): Partial<Record<FigureName, number>> {
  const { figures } = JSON.parse(line) as SpeedFigures;
  return Object.fromEntries(
    Object.entries(figures).map(([name, { median }]) => [name, median]),
  );
}
