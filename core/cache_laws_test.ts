import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import type { Plugin } from "./plugin.ts";
import { type CacheDriver, cacheDriver, dice } from "./testing/cache_driver.ts";
import { FAKE_VOCAB } from "./testing/fake_backend.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";

interface Variant {
  readonly name: string;
  readonly plugins: () => readonly Plugin[];
  readonly budgetBytes: number;
  readonly slack?: number;
}

// Blocks take 16 to 64 bytes; most budgets are tight, so that many steps find
// no room.
const variants: readonly Variant[] = [
  {
    name: "paged",
    plugins: () => [layoutPlugin(4)],
    budgetBytes: 1 << 16,
  },
  {
    name: "paged, indexed, tight",
    plugins: () => [layoutPlugin(2), indexPlugin()],
    budgetBytes: 24 * 32,
  },
  {
    name: "window and sinks on one layer, indexed, tight",
    plugins: () => [
      layoutPlugin(3),
      windowPlugin(7, 2, (l) => l.layer === 1),
      indexPlugin(),
    ],
    budgetBytes: 40 * 32,
  },
  {
    name: "two layouts, window on all, indexed, slack",
    plugins: () => [
      layoutPlugin(2, (l) => l.layer === 0),
      layoutPlugin(3, (l) => l.layer > 0),
      windowPlugin(9),
      indexPlugin(),
    ],
    budgetBytes: 40 * 32,
    slack: 4,
  },
];

async function driver(v: Variant): Promise<CacheDriver> {
  return await cacheDriver(v.plugins(), {
    budgetBytes: v.budgetBytes,
    slack: v.slack ?? 0,
    bytes: 1 << 18,
    layers: 2,
  });
}

/** One random operation. Prompts have few different starts, so prefixes meet. */
function act(d: CacheDriver, roll: (n: number) => number): void {
  const seqs = [...d.truth.keys()];
  const any = () => seqs[roll(seqs.length)]!;
  const tokens = (n: number) =>
    Array.from({ length: n }, () => roll(FAKE_VOCAB));
  const kind = seqs.length === 0 ? 0 : roll(100);
  if (kind < 12 && seqs.length < 8) {
    const start = Array.from({ length: roll(20) }, (_, i) => i % 3);
    const prompt = [...start, ...tokens(roll(3))];
    const seq = d.open(prompt);
    const from = d.truth.get(seq)!.length;
    if (from < prompt.length) d.append([{ seq, tokens: prompt, from }]);
  } else if (kind < 70) {
    const chosen = seqs.filter(() => roll(2) === 0).slice(0, 6);
    const work = chosen.map((seq) => ({ seq, tokens: tokens(1 + roll(4)) }));
    if (work.length > 0) d.append(work);
  } else if (kind < 75) {
    const seq = any();
    const r = d.cache.reserve([{ seq, tokens: tokens(1 + roll(6)) }]);
    d.cache.check();
    if (r.ok) d.cache.cancel(r);
  } else if (kind < 82 && seqs.length < 8) {
    d.fork(any());
  } else if (kind < 90) {
    const seq = any();
    d.trim(seq, roll(d.truth.get(seq)!.length + 1));
  } else if (kind < 97) {
    d.close(any());
  } else if (kind < 98) d.cache.evictIdle();
}

for (const v of variants) {
  Deno.test(`KVCache keeps its books over 6,000 random operations: ${v.name}`, async () => {
    for (let seed = 1; seed <= 6; seed++) {
      const d = await driver(v);
      const roll = dice(seed);
      for (let i = 0; i < 1000; i++) {
        act(d, roll);
        d.check();
      }
      d.end();
    }
  });

  Deno.test(`KVCache keeps its books over shrinking sequences: ${v.name}`, async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.nat(), { minLength: 10, maxLength: 150 }),
        async (numbers) => {
          const d = await driver(v);
          let at = 0;
          while (at < numbers.length) {
            // Out of numbers: zeros, which shrink to the simplest operation.
            act(d, (n) => (numbers[at++] ?? 0) % Math.max(1, n));
            d.check();
          }
          d.end();
        },
      ),
      { numRuns: 60 },
    );
  });
}

Deno.test("the cache's random operations reach every kind of event", async () => {
  const d = await driver(variants[2]!);
  const roll = dice(3);
  let short = 0;
  for (let i = 0; i < 1000; i++) {
    const before = d.cache.stat().available;
    act(d, roll);
    if (before < 200) short++;
  }
  const stat = d.cache.stat();
  assert.ok(stat.copies > 10 && stat.evictions > 10 && stat.hitTokens > 10);
  assert.ok(short > 10, "memory was never short");
});
