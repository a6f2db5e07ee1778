import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import type { Plugin } from "../core/plugin.ts";
import { CacheActs } from "../core/testing/cache_acts.ts";
import {
  type CacheDriver,
  cacheDriver,
  dice,
} from "../core/testing/cache_driver.ts";
import { codecPlugin, fakeCodec } from "../core/testing/fake_codec.ts";
import { layoutPlugin } from "../core/testing/fake_plan.ts";
import { contiguous } from "./contiguous.ts";
import { pagedAttention } from "./paged_attention.ts";
import { prefixCache } from "./prefix_cache.ts";
import { slidingWindow } from "./sliding_window.ts";

interface Variant {
  readonly name: string;
  readonly plugins: () => readonly Plugin[];
  readonly budgetBytes: number;
  readonly slack?: number;
}

// Most budgets are tight: many steps find no room, and much is evicted.
const VARIANTS: readonly Variant[] = [
  {
    name: "blocks of 3, room for all",
    plugins: () => [pagedAttention({ blockTokens: 3 }), prefixCache()],
    budgetBytes: 1 << 16,
  },
  {
    name: "blocks of 2, tight",
    plugins: () => [pagedAttention({ blockTokens: 2 }), prefixCache()],
    budgetBytes: 32 * 32,
  },
  {
    name: "blocks of 3, window and sinks on one layer, tight",
    plugins: () => [
      pagedAttention({ blockTokens: 3 }),
      prefixCache({ remembered: 8 }),
      slidingWindow({
        window: 7,
        sinks: 2,
        reach: 9,
        layers: (l) => l.layer === 1,
      }),
    ],
    budgetBytes: 52 * 32,
  },
  {
    name: "blocks of 4, window and sinks on all, slack, little kept",
    plugins: () => [
      pagedAttention({ blockTokens: 4 }),
      prefixCache({ mostBytes: 9 * 64 }),
      slidingWindow({ window: 9, sinks: 5 }),
    ],
    budgetBytes: 40 * 64,
    slack: 4,
  },
  {
    name: "one run for each",
    plugins: () => [contiguous({ tokens: 12 }), prefixCache()],
    budgetBytes: 24 * 12 * 16,
  },
  {
    name: "two layouts and two windows",
    plugins: () => [
      layoutPlugin(2, (l) => l.layer === 0),
      layoutPlugin(5, (l) => l.layer > 0),
      slidingWindow({ window: 12 }),
      slidingWindow({ window: 6, sinks: 3, layers: (l) => l.layer === 0 }),
      prefixCache({ mostBytes: 20 * 32 }),
    ],
    budgetBytes: 44 * 32,
  },
  {
    name: "blocks of 3, sealed, tight",
    plugins: () => [
      pagedAttention({ blockTokens: 3 }),
      prefixCache(),
      codecPlugin(fakeCodec({ id: "fused", lossy: true })),
    ],
    budgetBytes: 20 * 32 + 6 * 48,
  },
  {
    name: "blocks of 4, sealed but the first, window and sinks on one, slack",
    plugins: () => [
      pagedAttention({ blockTokens: 4 }),
      prefixCache({ mostBytes: 300 }),
      slidingWindow({
        window: 9,
        sinks: 5,
        layers: (l) => l.layer === 1,
      }),
      codecPlugin(fakeCodec({ id: "lossless", keepFirst: 1 })),
    ],
    budgetBytes: 40 * 32,
    slack: 3,
  },
  {
    name: "two layouts, one sealed, tight",
    plugins: () => [
      layoutPlugin(2, (l) => l.layer === 0),
      layoutPlugin(5, (l) => l.layer > 0),
      codecPlugin(fakeCodec({ id: "fused", lossy: true }), {
        layers: (l) => l.layer > 0,
      }),
      prefixCache(),
    ],
    budgetBytes: 44 * 32,
  },
];

async function driver(v: Variant): Promise<CacheDriver> {
  return await cacheDriver(v.plugins(), {
    budgetBytes: v.budgetBytes,
    slack: v.slack ?? 0,
    bytes: 1 << 18,
    layers: 2,
    fused: ["fused", "lossless"],
  });
}

for (const v of VARIANTS) {
  Deno.test(`KVCache with plugins keeps its books over 10,000 operations: ${v.name}`, async () => {
    const done: Record<string, number> = {};
    for (let seed = 1; seed <= 10; seed++) {
      const d = await driver(v);
      const acts = new CacheActs(d);
      const roll = dice(seed);
      for (let i = 0; i < 1000; i++) {
        acts.act(roll);
        d.check();
      }
      const { hits, copies, evictions, misses } = d.cache.stat();
      const stat = { hits, copies, evictions, salted: misses.salted };
      for (const [what, n] of Object.entries({ ...acts.counts, ...stat })) {
        done[what] = (done[what] ?? 0) + n;
      }
      d.end();
    }
    const rare = new Set(v.name.includes("room for all") ? ["short"] : []);
    for (const [what, n] of Object.entries(done)) {
      assert.ok(n >= 10 || rare.has(what), `${what}: ${n} times`);
    }
  });

  Deno.test(`KVCache with plugins keeps its books over shrinking operations: ${v.name}`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { minLength: 10, maxLength: 200, size: "max" }),
        async (numbers) => {
          const d = await driver(v);
          const acts = new CacheActs(d);
          let at = 0;
          while (at < numbers.length) {
            // Out of numbers: zeros, which shrink to the simplest operation.
            acts.act((n) => (numbers[at++] ?? 0) % Math.max(1, n));
            d.check();
          }
          d.end();
        },
      ),
      { numRuns: 60 },
    );
  });
}
