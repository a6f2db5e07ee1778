/**
 * What takes part in a side-by-side run: Quire and its peers, one interface.
 *
 * @module
 */
import type { FigureName, SpeedCase } from "../evaluate/speed_rows.ts";

/** Who can be measured beside Quire. */
export type PeerName = "wllama" | "nlc" | "native";

/** Who takes part. */
export type ContestantName = "quire" | PeerName;

/** How people know them. */
export const TITLES: Readonly<Record<ContestantName, string>> = {
  quire: "Quire",
  wllama: "wllama",
  nlc: "node-llama-cpp",
  native: "llama.cpp native",
};

/** One way to run a contestant. */
export interface Setting {
  /** Short name, as tables show it. */
  readonly id: string;
  readonly threads: number;
  /** Further arguments of the program that measures it. */
  readonly args: readonly string[];
}

/** What one run gave, in the rows' units. */
export interface Sample {
  readonly figures: Readonly<Partial<Record<FigureName, number>>>;
  /** Share of all cores that other programs used meanwhile, where known. */
  readonly othersBusy?: number | undefined;
}

/** Someone who takes part; each run is a process of its own. */
export interface Contestant {
  readonly name: ContestantName;
  readonly settings: readonly Setting[];
  /** Which case is run, once, to choose the setting for `name`; a cheap one like it. */
  probe(name: SpeedCase): SpeedCase;
  /** Whether it can run a case at all. */
  can(name: SpeedCase): boolean;
  /** Runs each of `cases` once. Throws where the program fails. */
  run(setting: Setting, cases: readonly SpeedCase[]): Promise<Sample>;
}

/** What a program left behind. */
export interface Output {
  readonly success: boolean;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end. */
export type RunProgram = (
  command: string,
  args: readonly string[],
) => Promise<Output>;

/** Runs a program on this machine. */
export const runProgram: RunProgram = async (command, args) => {
  const { success, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    env: { NO_COLOR: "1" },
    stdin: "null",
  }).output();
  const decoder = new TextDecoder();
  return {
    success,
    stdout: decoder.decode(stdout),
    stderr: decoder.decode(stderr),
  };
};

/** An error with what a program said. */
export function programError(what: string, output: Output): Error {
  const said = output.stderr.trim() || output.stdout.trim();
  // The reason stands first or last, depending on the program.
  const shown = said.length <= 600
    ? said
    : `${said.slice(0, 300)} … ${said.slice(-300)}`;
  return new Error(`Cannot run ${what}: ${shown || "it said nothing"}`);
}
