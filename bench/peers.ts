/**
 * wllama and node-llama-cpp as contestants, by the runner that measures peers.
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
  type Sample,
  type Setting,
} from "./contest.ts";

/** Where the peers are and how they are run. */
export interface PeersSetup {
  /** The model's file. */
  readonly model: string;
  /** Folder with `peer.mjs`. */
  readonly bench: string;
  /** Folder with the peers' `node_modules`. */
  readonly modules: string;
  /** Threads of Quire; peers are tried with as many, and with fewer where that may help. */
  readonly threads: number;
  /** Seconds to wait for a quiet machine before each run. */
  readonly waitIdle: number;
}

/** The runner's names of the cases; a load comes with every run. */
const RUNNER_CASES: Readonly<Record<SpeedCase, string | undefined>> = {
  load: undefined,
  prefill32: "prefill32",
  prefill128: "prefill128",
  prefill512: "prefill512",
  decode: "decode128",
  decode1000: "depth1000",
  decode4000: "depth4000",
  batch1: "par1",
  batch4: "par4",
  batch8: "par8",
  memory: "mem",
};

/** wllama in Chromium: both builds, flash attention as it comes and off. */
export function wllama(
  setup: PeersSetup,
  run: RunProgram = runProgram,
): Contestant {
  const { threads } = setup;
  const settings = ([
    ["default", []],
    ["flash off", ["--flash", "0"]],
    ["compat", ["--compat"]],
    ["compat, flash off", ["--compat", "--flash", "0"]],
  ] as const).map(([id, args]): Setting => ({ id, threads, args }));
  return {
    name: "wllama",
    settings,
    // Its prompts take long: a short one says as well which setting is faster.
    probe: (name) =>
      name.startsWith("prefill")
        ? "prefill128"
        : name === "decode1000" || name === "decode4000"
        ? "decode1000"
        : "decode",
    can: () => true,
    run: (setting, cases) => runPeer("wllama", setup, setting, cases, run),
  };
}

/** node-llama-cpp in Node.js, with one thread and with all. */
export function nodeLlamaCpp(
  setup: PeersSetup,
  run: RunProgram = runProgram,
): Contestant {
  return {
    name: "nlc",
    settings: threadSettings(setup.threads),
    probe: (name) => name,
    can: () => true,
    run: (setting, cases) => runPeer("nlc", setup, setting, cases, run),
  };
}

/** One setting with one thread, and one with `threads` if they are more. */
export function threadSettings(threads: number): Setting[] {
  return [...new Set([1, threads])].map((n) => ({
    id: n === 1 ? "1 thread" : `${n} threads`,
    threads: n,
    args: [],
  }));
}

async function runPeer(
  peer: "wllama" | "nlc",
  setup: PeersSetup,
  { threads, args }: Setting,
  cases: readonly SpeedCase[],
  run: RunProgram,
): Promise<Sample> {
  const measure = async (names: readonly string[]): Promise<Sample> => {
    const output = await run("node", [
      join(setup.bench, "peer.mjs"),
      "--peer",
      peer,
      "--model",
      setup.model,
      "--threads",
      String(threads),
      "--case",
      names.join(","),
      "--reps",
      "1",
      "--waitIdle",
      String(setup.waitIdle),
      "--modules",
      join(setup.modules, "node_modules"),
      ...(peer === "wllama" && cases.includes("load")
        ? ["--loadReps", "1"]
        : []),
      ...args,
    ]);
    if (!output.stdout.trim()) throw programError(peer, output);
    return peerSample(output.stdout);
  };
  const timed = cases.filter((c) => c !== "memory" && c !== "load")
    .map((c) => RUNNER_CASES[c]!);
  let sample: Sample = { figures: {} };
  if (timed.length > 0 || cases.includes("load")) {
    sample = await measure(timed.length > 0 ? timed : ["prefill32"]);
  }
  // Sampling the memory disturbs timings, so it is run alone.
  if (!cases.includes("memory")) return sample;
  const { figures: { memory } } = await measure(["mem"]);
  return {
    ...sample,
    figures: { ...sample.figures, ...(memory === undefined ? {} : { memory }) },
  };
}

/** A summary as the runner writes it. */
type Rate = { readonly median: number } | null | undefined;

/** The runner's line, as far as it is read. */
interface PeerLine {
  readonly error?: string;
  readonly load?: {
    readonly total_ms?: number;
    readonly first_ms?: number;
    readonly cached_ms?: Rate;
  };
  readonly ttft_cold_ms?: number;
  readonly mem_peak_mib?: { readonly pss: number };
  readonly machine?: { readonly others_busy?: number };
  readonly cases?: Readonly<
    Record<string, Readonly<Record<string, Rate>>>
  >;
}

/**
 * Figures of a line of the runner. `load` is from the browser's storage where
 * that was measured; `firstToken` is of 32 tokens, not 20; `memory` is the
 * proportional set size of all processes, the browser's included.
 *
 * @throws {Error} with the runner's own words if the run failed.
 */
export function peerSample(line: string): Sample {
  const parsed = JSON.parse(line) as PeerLine;
  if (parsed.error !== undefined) {
    throw new Error(`Cannot measure the peer: ${parsed.error.slice(0, 600)}`);
  }
  const figures: Partial<Record<FigureName, number>> = {};
  const put = (name: FigureName, value: number | undefined): void => {
    if (value !== undefined && Number.isFinite(value)) figures[name] = value;
  };
  for (const [name, called] of Object.entries(RUNNER_CASES)) {
    const given = called === undefined ? undefined : parsed.cases?.[called];
    if (given === undefined) continue;
    const figure = name as FigureName;
    put(
      figure,
      (given.prefill_tps ?? given.decode_tps ?? given.agg_tps)?.median,
    );
    put(`${figure}Decoding` as FigureName, given.agg_decode_tps?.median);
  }
  const { load, ttft_cold_ms: first, mem_peak_mib: memory } = parsed;
  const loading = load?.cached_ms?.median ?? load?.total_ms ?? load?.first_ms;
  put("load", loading);
  put("firstToken", first);
  if (loading !== undefined && first !== undefined) {
    put("loadAndFirstToken", loading + first);
  }
  put("memory", memory === undefined ? undefined : memory.pss * 2 ** 20);
  return { figures, othersBusy: parsed.machine?.others_busy };
}
