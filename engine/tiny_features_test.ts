/** The tiny models through `load()`, with memory features off and on. */
import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { contiguous } from "../plugins/contiguous.ts";
import { cpuOffload } from "../plugins/cpu_offload.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { kvBudget } from "./testing/kv_budget.ts";
import { collect } from "./testing/tiny_engine.ts";
import {
  checkTiny,
  type TinyFixture,
  type TinyLevel,
  tinyModels,
  type TinySequence,
} from "./testing/tiny_fixtures.ts";
import { openTinyModel, type TinyModel } from "./testing/tiny_models.ts";
import { fastLevel } from "./testing/wasm_logits.ts";

/** The longest sequence with its continuation, in whole blocks of 16. */
const CONTEXT = 192;

interface Features {
  readonly plugins: () => readonly Plugin[];
  /** Sequences run together; default one after another. */
  readonly together?: boolean;
  /** K and V are coded. */
  readonly coded?: boolean;
  /** Room for K and V of little more than the longest sequence. */
  readonly short?: boolean;
}

const paged = (): Plugin[] => [
  pagedAttention({ blockTokens: 16 }),
  prefixCache(),
];
const offload = (): Plugin => cpuOffload({ bytes: 1 << 22 });
/** Wider than any sequence: it may hide nothing. */
const window = (): Plugin => slidingWindow({ window: 2 * CONTEXT });

const FEATURES: Readonly<Record<string, Features>> = {
  "all off": { plugins: () => [contiguous({ tokens: CONTEXT })] },
  "paging, windows and batching": {
    plugins: () => [...paged(), window()],
    together: true,
  },
  "paging and INT8": { plugins: () => [...paged(), kvInt8()], coded: true },
  "paging, offload and batching": {
    plugins: () => [...paged(), offload()],
    together: true,
    short: true,
  },
  "all on": {
    plugins: () => [...paged(), window(), kvInt8(), offload()],
    together: true,
    coded: true,
    short: true,
  },
};

const RUNS: readonly LoadOptions[] = [
  { backend: "reference" },
  { backend: "wasm", build: "simd", precision: "exact" },
  { backend: "wasm", build: "simd" },
  { backend: "wasm", build: "relaxed", precision: "exact" },
  { backend: "wasm", build: "relaxed" },
];

/** How near a run has to come. */
function levelOf(
  model: TinyModel,
  { backend, precision }: LoadOptions,
  { coded }: Features,
): TinyLevel {
  const exact = backend === "reference" || precision === "exact";
  if (exact && !coded) return "float32";
  const experts = model.spec.layers.some((l) => l.experts !== undefined);
  if (coded) return experts ? "int8_experts" : "int8";
  return fastLevel(model);
}

async function open(
  { path }: TinyFixture,
  run: LoadOptions,
  { plugins, short }: Features,
): Promise<Engine> {
  const options = {
    threads: 2,
    chunk: 24,
    parallel: 3,
    context: CONTEXT,
    check: true,
    ...run,
  };
  const make = (budget: number): Promise<Engine> =>
    load(path, { ...options, budget, plugins: plugins() });
  const wide = await make(1 << 26);
  if (!short) return wide;
  const bytes = wide.plan.groups.reduce(
    (sum, { blockBytes, sealedBytes, shape }) =>
      sum + 3 * blockBytes + sealedBytes * (CONTEXT / shape.tokens),
    0,
  );
  await wide[Symbol.asyncDispose]();
  return await make(await kvBudget(bytes, make));
}

/** Blocks went down, unless windows make them few. */
function checkMoved(engine: Engine): void {
  if (engine.spec.layers.some((l) => l.window !== undefined)) return;
  const { lines } = engine.memory();
  assert.ok(
    lines.some((l) => l.owner === "kv" && l.tier !== "device" && l.peak > 0),
  );
}

function idsOf({ tokens, greedy }: TinySequence): readonly number[] {
  return [...tokens, ...greedy.tokens];
}

/** Logits of every sequence, by its ids. */
async function logitsOf(
  engine: Engine,
  sequences: readonly TinySequence[],
  together: boolean,
): Promise<ReadonlyMap<string, Float32Array>> {
  const { vocab } = engine.spec, all = new Map<string, Float32Array>();
  const one = async (sequence: TinySequence): Promise<void> => {
    const ids = idsOf(sequence), out = new Float32Array(ids.length * vocab);
    await engine.eachLogits(ids, (p, logits) => out.set(logits, p * vocab));
    all.set(`${ids}`, out);
  };
  if (together) await Promise.all(sequences.map(one));
  else for (const sequence of sequences) await one(sequence);
  return all;
}

/** Most that a margin may be where another token is chosen. */
const TIES: Readonly<Record<TinyLevel, number>> = {
  float32: 1e-3,
  half_kv: 0.2,
  int8: 1.5,
  int8_experts: 1.5,
};

/** Router logits nearer than this may choose either expert. */
const CALM = 0.2;

/** Greedy continuations are those of the fixture up to the first near tie. */
async function checkGreedy(
  engine: Engine,
  sequences: readonly TinySequence[],
  tie: number,
): Promise<void> {
  await Promise.all(sequences.map(async (sequence) => {
    const { tokens, greedy, router_margins = [] } = sequence;
    const got = await collect(engine.generate({
      tokens,
      maxTokens: greedy.tokens.length,
      ignoreEos: true,
      temperature: 0,
    }));
    const at = greedy.tokens.findIndex((id, i) => id !== got.tokens[i]);
    const router = Math.min(...router_margins.slice(0, tokens.length + at));
    const margin = at < 0 || tie > 0.1 && router < CALM
      ? 0
      : greedy.margins[at]!;
    assert.ok(
      margin <= tie,
      `token ${at} of ${greedy.tokens.length} is another, with a margin of ${margin}`,
    );
  }));
}

const models = tinyModels();
const ignore = models.length === 0;
const why = ignore ? " (ignored: no fixtures beside the repository)" : "";

for (const run of RUNS) {
  const name = Object.values(run).join(", ");
  Deno.test({
    name:
      `load() meets the tiny models with features off and on: ${name}${why}`,
    ignore,
    fn: async (t) => {
      for (const name of models) {
        await t.step(name, async () => {
          const model = await openTinyModel(name), { fixture } = model;
          for (const [what, features] of Object.entries(FEATURES)) {
            const level = levelOf(model, run, features);
            try {
              await using engine = await open(fixture, run, features);
              const { sequences } = fixture, { together = false } = features;
              const all = await logitsOf(engine, sequences, together);
              await checkTiny(
                fixture,
                level,
                (ids) => Promise.resolve(all.get(`${ids}`)!),
              );
              await checkGreedy(engine, sequences, TIES[level]);
              engine.check();
              if (features.short) checkMoved(engine);
            } catch (cause) {
              throw new Error(`with ${what}: ${cause}`, { cause });
            }
          }
        });
      }
    },
  });
}
