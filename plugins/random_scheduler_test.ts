import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import type { Plugin } from "../core/plugin.ts";
import type { Roll } from "../core/testing/cache_acts.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { codecPlugin, fakeCodec } from "../core/testing/fake_codec.ts";
import { layoutPlugin } from "../core/testing/fake_plan.ts";
import {
  contentTier,
  memoryTier,
  readableTier,
  tierPlugin,
} from "../core/testing/memory_tier.ts";
import {
  type AbortMoments,
  type ActOptions,
  SchedulerActs,
} from "../core/testing/scheduler_acts.ts";
import { schedulerDriver } from "../core/testing/scheduler_driver.ts";
import {
  restorerPlugin,
  ToyDrafter,
  toyRestorer,
} from "../core/testing/toys.ts";
import { contiguous } from "./contiguous.ts";
import { fairShare } from "./fair_share.ts";
import { pagedAttention } from "./paged_attention.ts";
import { prefixCache } from "./prefix_cache.ts";
import { promptLookup } from "./prompt_lookup.ts";
import { slidingWindow } from "./sliding_window.ts";

interface Variant {
  readonly name: string;
  readonly plugins: () => readonly Plugin[];
  readonly budgetBytes: number;
  readonly rows?: number;
  readonly seqs?: number;
  readonly wanted?: number;
  readonly segmentTokens?: number;
  readonly sweepRows?: number;
  /** What has to have happened more often than this many times. */
  readonly often?: Readonly<Record<string, number>>;
}

/** Guesses rightly four times of five, once it knows the plan. */
let drafter = new ToyDrafter(4, 5);

function forgetful(slow: boolean): Plugin {
  const tier = memoryTier(1500);
  tier.slow = slow;
  let asked = 0;
  tier.loses = () => asked++ % 3 === 0;
  return tierPlugin(tier, memoryTier(1 << 16, 2));
}

/** Two tiers that have prefixes: a near one, and a slow one that loses things. */
function shelves(): Plugin {
  const near = contentTier("leaving"), far = contentTier("full", 2);
  let asked = 0;
  far.slow = true;
  far.forgets = () => asked++ % 5 === 0;
  near.forgets = () => asked++ % 7 === 0;
  return tierPlugin(near, far);
}

/** A tier that blocks are read from while steps run, and that loses things. */
function readable(): Plugin {
  const tier = readableTier(1 << 16);
  let asked = 0;
  tier.loses = () => asked++ % 90 === 89;
  return tierPlugin(tier);
}

const VARIANTS: readonly Variant[] = [
  {
    name: "blocks of 3, guesses",
    plugins: () => [
      pagedAttention({ blockTokens: 3 }),
      prefixCache(),
      drafter.plugin,
    ],
    budgetBytes: 1 << 14,
  },
  {
    name: "blocks of 2, fair shares, in little memory",
    plugins: () => [
      pagedAttention({ blockTokens: 2 }),
      prefixCache(),
      fairShare({ weights: { a: 3 } }),
      promptLookup({ ngram: 1, most: 3 }),
    ],
    budgetBytes: 20 * 32,
  },
  {
    name: "window and sinks on one layer, guesses, a tier that loses things",
    plugins: () => [
      pagedAttention({ blockTokens: 3 }),
      prefixCache({ remembered: 8 }),
      slidingWindow({
        window: 7,
        sinks: 2,
        reach: 9,
        layers: (l) => l.layer === 1,
      }),
      drafter.plugin,
      forgetful(false),
    ],
    budgetBytes: 40 * 32,
  },
  {
    name: "window and sinks on all, small steps",
    plugins: () => [
      pagedAttention({ blockTokens: 4 }),
      prefixCache({ mostBytes: 9 * 64 }),
      slidingWindow({ window: 9, sinks: 5 }),
      drafter.plugin,
    ],
    budgetBytes: 30 * 64,
    rows: 9,
    seqs: 4,
    wanted: 6,
  },
  {
    name: "one run for each, a slow tier",
    plugins: () => [
      contiguous({ tokens: 40 }),
      drafter.plugin,
      forgetful(true),
    ],
    budgetBytes: 4 * 40 * 16,
  },
  {
    name:
      "sealed blocks of 4 in little memory, guesses, a tier that loses things",
    plugins: () => [
      pagedAttention({ blockTokens: 4 }),
      prefixCache(),
      codecPlugin(fakeCodec({ id: "fused", lossy: true, keepFirst: 1 })),
      drafter.plugin,
      forgetful(false),
    ],
    budgetBytes: 17 * 32,
  },
  {
    name: "sealed blocks on one layer, a window on the other, fair shares",
    plugins: () => [
      pagedAttention({ blockTokens: 3 }),
      prefixCache(),
      slidingWindow({ window: 7, sinks: 2, layers: (l) => l.layer === 1 }),
      codecPlugin(fakeCodec({ id: "fused", lossy: true }), {
        layers: (l) => l.layer === 0,
      }),
      fairShare({ weights: { a: 3 } }),
      promptLookup({ ngram: 1, most: 3 }),
    ],
    budgetBytes: 28 * 32,
  },
  {
    name: "rounded blocks of 5, guesses, a slow tier",
    plugins: () => [
      pagedAttention({ blockTokens: 5 }),
      prefixCache(),
      codecPlugin(fakeCodec({ id: "rounded", lossy: true })),
      drafter.plugin,
      forgetful(true),
    ],
    budgetBytes: 16 * 80,
  },
  {
    name: "hidden states kept, guesses, in little memory",
    plugins: () => [
      pagedAttention({ blockTokens: 2 }),
      prefixCache(),
      drafter.plugin,
      restorerPlugin(toyRestorer([1], 2000)),
    ],
    budgetBytes: 20 * 32,
    often: { restored: 500 },
  },
  {
    name: "hidden states lost, two sizes of blocks, a window, a tier",
    plugins: () => [
      layoutPlugin(3, (l) => l.layer === 0),
      layoutPlugin(2, (l) => l.layer === 1),
      prefixCache(),
      slidingWindow({ window: 7, sinks: 2, layers: (l) => l.layer === 1 }),
      careless(),
      forgetful(true),
    ],
    budgetBytes: 40 * 32,
    rows: 7,
    often: { restored: 500 },
  },
  {
    name: "hidden states and sealed blocks",
    plugins: () => [
      pagedAttention({ blockTokens: 4 }),
      codecPlugin(fakeCodec({ id: "fused", lossy: true, keepFirst: 1 })),
      drafter.plugin,
      restorerPlugin(toyRestorer()),
    ],
    budgetBytes: 17 * 32,
    often: { restored: 500 },
  },
  {
    name: "steps of more rows than a batch, sealed blocks on one layer",
    plugins: () => [
      pagedAttention({ blockTokens: 3 }),
      prefixCache(),
      slidingWindow({ window: 7, sinks: 2, layers: (l) => l.layer === 1 }),
      codecPlugin(fakeCodec({ id: "fused", lossy: true }), {
        layers: (l) => l.layer === 0,
      }),
      drafter.plugin,
      forgetful(true),
    ],
    budgetBytes: 60 * 32,
    rows: 6,
    sweepRows: 40,
    often: { sweep: 100 },
  },
  {
    name: "prefixes in two tiers, of which one loses things",
    plugins: () => [
      pagedAttention({ blockTokens: 3 }),
      prefixCache(),
      slidingWindow({ window: 7, sinks: 2, layers: (l) => l.layer === 1 }),
      drafter.plugin,
      shelves(),
    ],
    budgetBytes: 40 * 32,
  },
  {
    name: "contexts larger than memory, a tier that loses things",
    plugins: () => [
      pagedAttention({ blockTokens: 4 }),
      prefixCache(),
      drafter.plugin,
      readable(),
    ],
    budgetBytes: 5 * 64,
    segmentTokens: 8,
  },
  {
    name: "sealed contexts larger than memory, a tier that loses things",
    plugins: () => [
      pagedAttention({ blockTokens: 4 }),
      slidingWindow({ window: 7, sinks: 2, layers: (l) => l.layer === 1 }),
      codecPlugin(fakeCodec({ id: "fused", lossy: true, keepFirst: 1 })),
      readable(),
    ],
    budgetBytes: 8 * 32,
    segmentTokens: 4,
  },
];

/** Loses and spoils some of what it keeps of the first layers. */
function careless(): Plugin {
  const r = toyRestorer([1], 3000);
  let asked = 0;
  return restorerPlugin({
    id: r.id,
    boundaries: r.boundaries,
    capacity: r.capacity,
    get used() {
      return r.used;
    },
    keep: (key, rows) => {
      r.keep(key, rows);
      if (asked++ % 5 === 0) new Int32Array(rows.buffer)[0]! ^= 1;
    },
    has: r.has,
    get: (key) => asked++ % 7 === 0 ? undefined : r.get(key),
  });
}

/** Token that ends a request. */
const STOP = 50;

async function acts(
  v: Variant,
  options: ActOptions = {},
): Promise<SchedulerActs> {
  const clock = { time: 0 };
  drafter = new ToyDrafter(4, 5);
  const { plugins, budgetBytes, rows = 12, seqs = 6, wanted = rows } = v;
  const d = await schedulerDriver(plugins(), {
    bytes: 1 << 16,
    layers: 2,
    tableStride: 64,
    fused: ["fused"],
    stop: STOP,
    now: () => clock.time,
    budgetBytes,
    rows,
    seqs,
    wanted,
    ...(v.segmentTokens === undefined
      ? {}
      : { segmentTokens: v.segmentTokens }),
    sweepRows: v.sweepRows,
  });
  drafter.learn(d.plan);
  return new SchedulerActs(d, { holds: true, clock, stop: STOP, ...options });
}

function sum(into: Record<string, number>, more: Record<string, number>): void {
  for (const [what, n] of Object.entries(more)) {
    into[what] = (into[what] ?? 0) + n;
  }
}

/** What need not happen in every variant. */
const SOME: ReadonlySet<string> = new Set([
  "error",
  "refused",
  "restored",
  "sweep",
]);

for (const v of VARIANTS) {
  Deno.test(`Scheduler with plugins keeps tokens and books over 8,000 rounds: ${v.name}`, async () => {
    const done: Record<string, number> = {};
    for (let seed = 1; seed <= 40; seed++) {
      const a = await acts(v);
      const roll = dice(seed);
      for (let i = 0; i < 200; i++) await a.act(roll);
      await a.finish();
      sum(done, a.counts);
    }
    assert.ok(done.step! > 5000, `${done.step} steps`);
    const tier = v.name.includes("loses");
    for (const [what, n] of Object.entries(done)) {
      const wanted = v.often?.[what] ??
        (SOME.has(what) ? 0 : what === "lost" ? tier ? 20 : 0 : 20);
      assert.ok(n >= wanted, `${what}: ${n} times`);
    }
  });

  Deno.test(`Scheduler with plugins keeps tokens and books over shrinking operations: ${v.name}`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { minLength: 20, maxLength: 300, size: "max" }),
        async (numbers) => {
          const a = await acts(v);
          let at = 0;
          while (at < numbers.length) {
            const roll: Roll = (n) => (numbers[at++] ?? 0) % Math.max(1, n);
            await a.act(roll);
          }
          await a.finish();
        },
      ),
      { numRuns: 40 },
    );
  });
}

Deno.test("Scheduler.abort() 10,000 times, at every moment, leaks not one block", async () => {
  const moments: Record<string, number> = {};
  let aborts = 0;
  for (let seed = 1; aborts < 10_000; seed++) {
    const v = VARIANTS[seed % VARIANTS.length]!;
    const a = await acts(v, { calm: 5, most: 8 });
    const roll = dice(1000 + seed);
    for (let i = 0; i < 300; i++) await a.act(roll);
    // Throws where a byte is left, or where somebody has other tokens.
    await a.finish();
    sum(moments, a.moments);
    aborts += a.counts.aborted;
  }
  for (const at of Object.keys(moments) as (keyof AbortMoments)[]) {
    assert.ok(moments[at]! > 200, `${at}: ${moments[at]} times`);
  }
});
