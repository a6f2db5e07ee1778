/**
 * Answers of whole engines under all sorts of plugins, for tests of laws.
 *
 * @module
 */
import assert from "node:assert/strict";
import { dice } from "../../core/testing/cache_driver.ts";
import type { Plugin } from "../../core/plugin.ts";
import { checkpointing } from "../../plugins/checkpointing.ts";
import { cpuOffload } from "../../plugins/cpu_offload.ts";
import { fairShare } from "../../plugins/fair_share.ts";
import { prefixCache } from "../../plugins/prefix_cache.ts";
import { promptLookup } from "../../plugins/prompt_lookup.ts";
import { slidingWindow } from "../../plugins/sliding_window.ts";
import type { Engine } from "../engine.ts";
import { load } from "../load.ts";
import type { GenerateOptions, LoadOptions } from "../options.ts";
import { tinyModels } from "./tiny_fixtures.ts";

/** Small models, those that are there. */
export const names: readonly string[] = [
  "llama-gqa-q4_0",
  "mistral-swa",
  "gemma3",
  "gemma2",
  "qwen2",
  "phi3",
  "head-80",
  "mixtral-moe-q4_0",
]
  .filter((name) => tinyModels().includes(name));
/** Whether there are none, and what a test's name says then. */
export const ignore: boolean = names.length === 0;
/** See `ignore`. */
export const why: string = ignore
  ? " (ignored: no fixtures beside the repository)"
  : "";

/** Everything that computes. */
export const BACKENDS: readonly LoadOptions[] = [
  { backend: "reference" },
  { backend: "wasm", build: "simd" },
  { backend: "wasm", build: "relaxed" },
];

/** Plugins that change no bit. */
export const CLEAR: readonly (() => Plugin)[] = [
  prefixCache,
  promptLookup,
  fairShare,
  () => cpuOffload({ bytes: 1 << 20 }),
  () => checkpointing({ every: 1, bytes: 1 << 18 }),
  () => ({
    name: "watcher",
    setup: (host) => host.provide("observe", { event() {} }),
  }),
];

/** Prompts with a common start, and one that repeats itself. */
export function prompts(vocab: number): number[][] {
  const start = Array.from({ length: 21 }, (_, i) => 5 + (i * i * 3) % 40);
  return [
    [...start, 7, 9],
    [...start, 8],
    Array.from({ length: 30 }, (_, i) => 10 + i % 4),
    start.slice(3),
  ].map((ids) => ids.map((id) => id % vocab));
}

/** Every prompt's tokens, two rounds, so that the second may find the first. */
async function answers(engine: Engine): Promise<number[][]> {
  const roll = dice(5);
  const one = async (options: GenerateOptions): Promise<number[]> => {
    const tokens: number[] = [];
    for await (const part of engine.generate(options)) {
      tokens.push(...part.tokens);
      if (roll(4) === 0) engine.scheduler.preempt(`request-${roll(8)}`);
    }
    return tokens;
  };
  const all = prompts(engine.spec.vocab).map((tokens, i) => ({
    tokens,
    maxTokens: 14,
    ignoreEos: true,
    tenant: `${i % 2}`,
    ...i === 3 ? { temperature: 0.9, seed: 4 } : {},
  }));
  const rounds = [
    await Promise.all(all.map(one)),
    await Promise.all(all.map(one)),
  ];
  assert.deepEqual(rounds[1], rounds[0], "a second time, with what is cached");
  const { blocks } = engine.cache.stat();
  assert.equal(blocks.open + blocks.sealed - blocks.idle, 0);
  return rounds[0]!;
}

/** Loads a model with these plugins and answers. Blocks of 8 suit it. */
export async function run(
  path: string,
  options: LoadOptions,
  plugins: readonly Plugin[],
): Promise<{ tokens: number[][]; fingerprint: string }> {
  await using engine = await load(path, {
    threads: 2,
    chunk: 24,
    check: true,
    context: 128,
    ...options,
    plugins,
  });
  const tokens = await answers(engine);
  return { tokens, fingerprint: engine.plan.fingerprint };
}

/** What queries may see. */
export const SEEN: readonly (() => Plugin[])[] = [
  () => [],
  () => [slidingWindow({ window: 9, sinks: 3 })],
  () => [slidingWindow({ window: 12, layers: (l) => l.layer % 2 === 0 })],
];
