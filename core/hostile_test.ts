import assert from "node:assert/strict";
import type { Plugin } from "./plugin.ts";
import type { Eviction } from "./slots.ts";
import { CacheActs } from "./testing/cache_acts.ts";
import { cacheDriver, dice } from "./testing/cache_driver.ts";
import { fakeGenerate } from "./testing/fake_backend.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import { schedulerDriver } from "./testing/scheduler_driver.ts";
import type { BlockId } from "./types.ts";

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

function evictPlugin(evict: Eviction): Plugin {
  return { name: "evict", setup: (host) => host.provide("evict", evict) };
}

/** Names every block there may be, the lowest number first. */
function namesAll(): Eviction {
  return {
    touch: () => {},
    forget: () => {},
    victims: () => Array.from({ length: 300 }, (_, i) => (i + 1) as BlockId),
  };
}

Deno.test("KVCache spares blocks in use, whatever an eviction names", async () => {
  for (const plugins of [[], [windowPlugin(7, 2, (l) => l.layer === 1)]]) {
    const d = await cacheDriver([
      layoutPlugin(2),
      indexPlugin(),
      evictPlugin(namesAll()),
      ...plugins,
    ], { budgetBytes: 40 * 32, bytes: 1 << 16 });
    const acts = new CacheActs(d);
    const roll = dice(8);
    for (let i = 0; i < 3000; i++) {
      acts.act(roll);
      d.check();
    }
    const { evictions } = d.cache.stat();
    assert.ok(evictions > 100 && acts.counts.short > 100);
    d.end();
  }
});

Deno.test("KVCache goes on without evictions where an eviction names nothing", async () => {
  const d = await cacheDriver([
    layoutPlugin(4),
    indexPlugin(),
    evictPlugin({ touch: () => {}, forget: () => {}, victims: () => [] }),
  ], { budgetBytes: 4 * 64 });
  const a = d.open([]);
  d.append([{ seq: a, tokens: range(16) }]);
  d.close(a);
  const b = d.open([]);
  assert.ok(!d.append([{ seq: b, tokens: [1] }]), "there is no room");
  d.check();
  assert.equal(d.open(range(17)) > 0, true);
  d.check();
});

Deno.test("KVCache finds nothing behind sinks that were evicted", async () => {
  const plugins = [
    layoutPlugin(4),
    indexPlugin(),
    windowPlugin(8, 2),
    evictPlugin(namesAll()),
  ];
  const prompt = range(41);
  for (const evicted of [0, 1, 2]) {
    const d = await cacheDriver(plugins, { budgetBytes: 11 * 64 });
    const a = d.open(prompt);
    d.append([{ seq: a, tokens: prompt }]);
    d.close(a);
    assert.equal(d.cache.stat().blocks.idle, 10);
    const b = d.open([], { reuse: false });
    d.append([{ seq: b, tokens: range(4 * (1 + evicted)).map(() => 9) }]);
    assert.equal(d.cache.stat().evictions, evicted);
    const c = d.open(prompt);
    // The first that goes is the block of the sinks.
    assert.equal(d.truth.get(c)!.length, evicted === 0 ? 40 : 0);
    d.close(b);
    d.append([{ seq: c, tokens: prompt, from: d.truth.get(c)!.length }]);
    d.check();
    d.end();
  }
});

Deno.test("Scheduler gives every request its tokens, however little its plugins know", async () => {
  const roll = dice(3);
  const d = await schedulerDriver([
    layoutPlugin(2),
    {
      name: "guesser",
      setup: (host) => {
        host.provide("draft", {
          id: "noise",
          most: 6,
          propose: (tokens, length, room) => {
            for (let i = 0; i < room; i++) tokens[length + i] = roll(97);
            return roll(3) === 0 ? -1 : roll(room + 9);
          },
        });
        host.provide("admission", {
          order: (waiting) => [
            ...waiting.filter(() => roll(2) === 0).reverse(),
            { id: "stranger", prompt: [1], maxTokens: 1 },
            ...waiting,
            ...waiting,
          ],
          victim: () => ({ id: "stranger", prompt: [1], maxTokens: 1 }),
        });
        host.provide("observe", { event: () => {} });
      },
    },
    evictPlugin(namesAll()),
    indexPlugin(),
  ], {
    budgetBytes: 30 * 32,
    rows: 9,
    seqs: 5,
  });
  const all = Array.from({ length: 40 }, (_, i) => ({
    id: `r${i}`,
    prompt: range(1 + roll(25)).map((p) => p % 7),
    maxTokens: 1 + roll(12),
  }));
  for (const r of all) d.scheduler.add(r);
  while (d.step()) d.cache.check();
  for (const { id, prompt, maxTokens } of all) {
    const wanted = fakeGenerate(d.plan, prompt, maxTokens);
    assert.deepEqual(d.finished.get(id)!.tokens, wanted, id);
  }
  d.cache.evictIdle();
  d.cache.check();
  assert.equal(d.backend.memory.stat().used, 0);
});
