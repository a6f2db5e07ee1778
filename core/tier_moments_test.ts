/** Tiers that answer late, or at the wrong moment, or for somebody else. */
import assert from "node:assert/strict";
import { type CacheDriver, cacheDriver } from "./testing/cache_driver.ts";
import { codecPlugin, fakeCodec } from "./testing/fake_codec.ts";
import { indexPlugin, layoutPlugin } from "./testing/fake_plan.ts";
import {
  contentTier,
  memoryTier,
  readableTier,
  tierPlugin,
} from "./testing/memory_tier.ts";
import { schedulerDriver } from "./testing/scheduler_driver.ts";
import { LostBlocks } from "./swap.ts";
import type { SeqId } from "./types.ts";

/** Of an open block of 4 positions in 2 layers. */
const BLOCK = 64;

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => (from + i) % 97);
}

function turn(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

Deno.test("KVCache: a put that ends late says nothing of the block that has its id now", async () => {
  const near = memoryTier(BLOCK), far = memoryTier(1 << 16, 2);
  near.view = (block) => near.blocks.get(block);
  const gate = Promise.withResolvers<void>();
  const { put } = far;
  far.put = (block, bytes) => gate.promise.then(() => put(block, bytes));
  const d = await cacheDriver([layoutPlugin(4), tierPlugin(near, far)]);
  const of = (from: number): SeqId => {
    const seq = d.open([]);
    assert.ok(d.append([{ seq, tokens: range(4, from) }]));
    return seq;
  };
  const filler = of(0);
  assert.ok(d.cache.swapOut(filler), "it fills the near tier");
  const a = of(10);
  assert.ok(d.cache.swapOut(a) && d.cache.comeBack(a));
  d.cache.summon(a);
  d.close(a);
  d.close(filler);
  // The second has the id that was a's; it fills the near tier.
  const others = [of(20), of(30)].reverse();
  for (const seq of others) assert.ok(d.cache.swapOut(seq));
  gate.resolve();
  await turn();
  d.check();
  for (const seq of others) {
    assert.ok(d.cache.comeBack(seq));
    assert.ok(await d.appendLoaded([{ seq, tokens: [1] }]));
  }
  d.end();
});

Deno.test("KVCache.spill() works beside a codec for the tier, which it does without", async () => {
  const d = await cacheDriver([
    layoutPlugin(4),
    tierPlugin(readableTier(1 << 12)),
    codecPlugin(fakeCodec({ id: "coarse", lossy: true }), { tier: "memory-1" }),
  ], { budgetBytes: 5 * BLOCK, segmentTokens: 8 });
  assert.equal(d.cache.missingBytes(80), 0);
  const seq = d.open([]);
  for (let at = 0; at < 80; at += 4) {
    const work = [{ seq, tokens: range(4, at) }];
    let r = d.cache.reserve(work);
    while (!r.ok) {
      assert.ok(d.cache.spill(seq, r.bytes));
      r = d.cache.reserve(work);
    }
    d.run(r, work);
    d.cache.commit(r);
    d.check();
  }
  d.end();
});

Deno.test("Scheduler.add() counts on all of a tier, whoever uses it at the moment", async () => {
  const d = await schedulerDriver([
    layoutPlugin(4),
    tierPlugin(readableTier(24 * BLOCK)),
  ], { budgetBytes: 6 * BLOCK, segmentTokens: 8, rows: 8 });
  for (const id of ["a", "b"]) {
    const request = { id, prompt: range(80, id.length), maxTokens: 4 };
    assert.equal(d.scheduler.add(request), undefined);
    for (let i = 0; i < 11; i++) d.step();
  }
  d.drain();
  assert.deepEqual([...d.finished.values()].map((f) => f.reason), [
    "length",
    "length",
  ]);
});

Deno.test("KVCache.open() finds what fits by halves", async () => {
  const blocks = 1000, shelf = contentTier("full");
  const text = Array.from({ length: 4 * blocks + 1 }, (_, i) => i * i % 97);
  const sizes = { bytes: 1 << 18, tableStride: 1024 };
  const plugins = (tier: typeof shelf) => [
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(tier),
  ];
  const one = await cacheDriver(plugins(shelf), sizes);
  const { seq } = one.cache.open([]);
  const r = one.cache.reserve([{ seq, tokens: text }]);
  assert.ok(r.ok);
  one.cache.commit(r);
  const tier = contentTier("full", 1, shelf.shelf);
  const d = await cacheDriver(plugins(tier), {
    ...sizes,
    budgetBytes: 301 * BLOCK,
  });
  d.cache.rowSeconds = 1;
  const found = d.cache.length(d.open(text)) / 4;
  assert.ok(found > 290 && found <= 300, `${found} blocks`);
  d.check();
});

Deno.test("KVCache tries a tier again that was slow once", async () => {
  const shelf = contentTier("full");
  const one = await cacheDriver([
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(shelf),
  ]);
  const first = one.open([]);
  assert.ok(one.append([{ seq: first, tokens: range(18) }]));
  const tier = contentTier("full", 1, shelf.shelf);
  let reads = 0;
  const { read } = tier.content!;
  Object.assign(tier.content!, {
    read: async (...a: Parameters<typeof read>) => {
      if (reads++ < 4) await new Promise((r) => setTimeout(r, 350));
      return await read(...a);
    },
  });
  const d = await cacheDriver([
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(tier),
  ]);
  for (let i = 0; i < 60; i++) {
    const { seq, cached } = d.cache.open(range(18));
    const r = d.cache.reserve([{ seq, tokens: range(18).slice(cached) }]);
    assert.ok(r.ok);
    await d.cache.load(r);
    d.cache.cancel(r);
    d.cache.close(seq);
    d.cache.evictIdle();
  }
  assert.ok(d.cache.stat().declined > 0);
  assert.ok(reads > 8, `${reads} reads`);
});

Deno.test("KVCache takes a block that its codec cannot open for lost", async () => {
  for (const slow of [false, true]) {
    const codec = fakeCodec({ id: "zip" });
    const broken = {
      ...codec,
      bytes: (s: Parameters<typeof codec.bytes>[0]) => codec.bytes(s),
      seal: (...a: Parameters<typeof codec.seal>) => codec.seal(...a),
      open: () => {
        throw new Error("cannot be read");
      },
    };
    const tier = contentTier("full");
    const plugins = [
      layoutPlugin(4),
      indexPlugin(),
      tierPlugin(tier),
      codecPlugin(broken, { tier: "memory-1" }),
    ];
    const one = await cacheDriver(plugins);
    const seq = one.open([]);
    assert.ok(one.append([{ seq, tokens: range(9) }]));
    const d = await cacheDriver(plugins);
    tier.slow = slow;
    await d.cache.seek(range(9));
    const opened = d.open(range(9));
    assert.equal(d.cache.length(opened), 8);
    const r = d.cache.reserve([{ seq: opened, tokens: [1] }]);
    assert.ok(r.ok);
    await assert.rejects(async () => await d.cache.load(r), LostBlocks);
    d.cache.cancel(r);
    d.check();
    // Nor does anybody else find it.
    assert.equal(d.cache.open(range(9), { tiers: false }).cached, 0);
    d.end();
  }
});

Deno.test("KVCache.cutLost() does not go on within a block that is away", async () => {
  const tier = readableTier(1 << 12);
  const d: CacheDriver = await cacheDriver([
    layoutPlugin(4, (l) => l.layer === 0),
    layoutPlugin(8, (l) => l.layer === 1),
    tierPlugin(tier),
  ], { budgetBytes: 1200, segmentTokens: 8 });
  const seq = d.open([]);
  for (let at = 0; at < 32; at += 4) {
    assert.ok(d.append([{ seq, tokens: range(4, at) }]));
  }
  assert.ok(d.cache.spill(seq, 4 * BLOCK));
  // Position 4 is the second block of one group, and within the first of the other.
  assert.equal(d.cache.cutLost(seq, 4), false);
  assert.ok(d.cache.cutLost(seq, 8));
  d.truth.set(seq, range(8));
  d.check();
  assert.ok(d.append([{ seq, tokens: range(9, 8) }]));
  d.end();
});

Deno.test("Scheduler does not take waiting for a tier for computing", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { rows: 32 });
  d.scheduler.add({ id: "a", prompt: range(32), maxTokens: 2 });
  const before = d.cache.rowSeconds;
  const plan = d.scheduler.step()!;
  await new Promise((resolve) => setTimeout(resolve, 300));
  d.scheduler.loaded();
  d.run(plan);
  d.scheduler.done(plan);
  assert.ok(d.cache.rowSeconds < before * 1.2, `${d.cache.rowSeconds}`);
});

Deno.test("KVCache.promote() outlives a tier that cannot keep what it gets", async () => {
  const shelf = contentTier("full", 2);
  const one = await cacheDriver([
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(shelf),
  ]);
  const seq = one.open([]);
  assert.ok(one.append([{ seq, tokens: range(9) }]));
  const near = contentTier("leaving");
  Object.assign(near.content!, {
    keep: () => Promise.reject(new Error("full")),
  });
  const d = await cacheDriver([
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(near, contentTier("full", 2, shelf.shelf)),
  ]);
  d.cache.promote(range(9));
  await turn();
  d.end();
});
