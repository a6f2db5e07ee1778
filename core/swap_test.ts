import assert from "node:assert/strict";
import { LostBlocks } from "./swap.ts";
import { type CacheDriver, cacheDriver, dice } from "./testing/cache_driver.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import { memoryTier, tierPlugin } from "./testing/memory_tier.ts";
import type { SeqId } from "./types.ts";

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

/** Appends through load(). */
async function append(
  d: CacheDriver,
  seq: SeqId,
  tokens: readonly number[],
): Promise<void> {
  assert.ok(await d.appendLoaded([{ seq, tokens }]));
}

Deno.test("KVCache.swapOut() frees a sequence's memory, and load() brings all of it back", async () => {
  for (const slow of [false, true]) {
    const tier = memoryTier(1 << 16);
    tier.slow = slow;
    const d = await cacheDriver([
      layoutPlugin(4),
      windowPlugin(9, 2, (l) => l.layer === 1),
      tierPlugin(tier),
    ]);
    const a = d.open([]), b = d.open([]);
    await append(d, a, range(30));
    await append(d, b, range(7, 50));
    const before = d.cache.stat();
    assert.ok(d.cache.swapSeconds(a) < 1);
    assert.ok(d.cache.swapOut(a));
    d.check();
    const out = d.cache.stat();
    assert.ok(out.available > before.available);
    assert.ok(out.tiers[1]!.used > 0);
    assert.ok(out.moves > 5);
    // Others overwrite what it had.
    const c = d.open([]);
    await append(d, c, range(40, 20));
    assert.ok(d.cache.comeBack(a));
    d.check();
    await append(d, a, [9, 8, 7]);
    d.check();
    assert.equal(d.cache.stat().tiers[1]!.used, 0);
    assert.equal(tier.blocks.size, 0);
    d.end();
  }
});

Deno.test("KVCache.swapOut() leaves what others use on the device", async () => {
  const tier = memoryTier(1 << 16);
  const d = await cacheDriver([layoutPlugin(4), tierPlugin(tier)]);
  const a = d.open([]);
  await append(d, a, range(10));
  const b = d.fork(a);
  await append(d, b, range(6, 40));
  assert.ok(d.cache.swapOut(b));
  d.check();
  // Its own tail and the two blocks behind it; the first two are shared.
  assert.equal(tier.blocks.size, 2);
  assert.equal(d.cache.canFork(b, 3), false);
  await append(d, a, range(5, 60));
  assert.ok(d.cache.comeBack(b));
  await append(d, b, [1]);
  d.end();
});

Deno.test("KVCache.comeBack() takes nothing where there is no room", async () => {
  const tier = memoryTier(1 << 16);
  const d = await cacheDriver([layoutPlugin(4), tierPlugin(tier)], {
    budgetBytes: 6 * 64,
  });
  const a = d.open([]);
  await append(d, a, range(16));
  assert.ok(d.cache.swapOut(a));
  const b = d.open([]);
  await append(d, b, range(12));
  const { available } = d.cache.stat();
  assert.equal(d.cache.comeBack(a), false);
  d.check();
  assert.equal(d.cache.stat().available, available);
  d.close(b);
  assert.ok(d.cache.comeBack(a));
  // Given up before its bytes came: the tier still has them.
  assert.ok(d.cache.swapOut(a));
  d.check();
  assert.ok(d.cache.comeBack(a));
  await append(d, a, [3]);
  d.end();
});

Deno.test("KVCache.swapOut() says so where no tier has room", async () => {
  const d = await cacheDriver([
    layoutPlugin(4),
    tierPlugin(memoryTier(100), memoryTier(64, 2)),
  ]);
  const a = d.open([]);
  await append(d, a, range(8));
  assert.ok(d.cache.swapOut(a), "two blocks, one in each tier");
  d.check();
  const b = d.open([]);
  await append(d, b, range(4));
  assert.equal(d.cache.swapSeconds(b), Infinity);
  assert.equal(d.cache.swapOut(b), false);
  d.close(b);
  d.close(a);
  d.end();
  const none = await cacheDriver([layoutPlugin(4)]);
  const c = none.open([]);
  await append(none, c, range(4));
  assert.equal(none.cache.swapSeconds(c), Infinity);
  none.end();
});

Deno.test("KVCache.load() names every sequence of which something is lost", async () => {
  for (const slow of [false, true]) {
    const tier = memoryTier(1 << 16);
    tier.slow = slow;
    const d = await cacheDriver([layoutPlugin(4), tierPlugin(tier)]);
    const [a, b] = [d.open([]), d.open([])];
    await append(d, a, range(9));
    await append(d, b, range(9, 30));
    assert.ok(d.cache.swapOut(a) && d.cache.swapOut(b));
    await undefined;
    await undefined;
    assert.equal(tier.blocks.size, 6);
    const gone = [...tier.blocks.keys()].at(-1)!;
    tier.loses = (block) => block === gone;
    assert.ok(d.cache.comeBack(a) && d.cache.comeBack(b));
    const r = d.cache.reserve([{ seq: a, tokens: [1] }, {
      seq: b,
      tokens: [2],
    }]);
    assert.ok(r.ok);
    await assert.rejects(
      async () => await d.cache.load(r),
      (e) => e instanceof LostBlocks && [...e.lost.keys()].join() === `${b}`,
    );
    d.cache.cancel(r);
    d.check();
    d.close(b);
    await append(d, a, [1]);
    d.end();
  }
});

Deno.test("KVCache keeps its books over random swaps", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const roll = dice(seed);
    const tier = memoryTier(24 * 64);
    const d = await cacheDriver([
      layoutPlugin(1 + roll(4)),
      windowPlugin(6, roll(2) * 2, (l) => l.layer === 0),
      ...roll(2) === 0 ? [indexPlugin()] : [],
      tierPlugin(tier),
    ], { budgetBytes: 40 * 64 });
    const away = new Set<SeqId>();
    for (let i = 0; i < 150; i++) {
      tier.slow = roll(2) === 0;
      tier.loses = roll(12) === 0 ? () => true : () => false;
      const here = [...d.truth.keys()].filter((s) => !away.has(s));
      const kind = roll(10);
      if (here.length === 0 || kind === 0) d.open(range(roll(8)));
      else if (kind < 3 && d.cache.swapOut(here[0]!)) away.add(here[0]!);
      else if (kind < 3) d.close(here[0]!);
      else if (kind === 3) d.fork(here[roll(here.length)]!);
      else if (kind === 4 && away.size > 0) d.close([...away][0]!);
      else {
        const back = [...away][0];
        const seq =
          back !== undefined && roll(2) === 0 && d.cache.comeBack(back)
            ? back
            : here[roll(here.length)]!;
        away.delete(seq);
        const work = [{ seq, tokens: range(1 + roll(5), roll(60)) }];
        const r = d.cache.reserve(work);
        if (r.ok) {
          try {
            await d.cache.load(r);
            d.run(r, work);
            d.cache.commit(r);
          } catch (e) {
            assert.ok(e instanceof LostBlocks, String(e));
            d.cache.cancel(r);
            d.close(seq);
          }
        } else if (seq === back) d.close(seq);
      }
      for (const seq of away) if (!d.truth.has(seq)) away.delete(seq);
      d.check();
    }
    d.end();
    await new Promise((resolve) => setTimeout(resolve));
    assert.equal(tier.blocks.size, 0);
  }
});

Deno.test("KVCache takes a tier that fails for one that has lost everything", async () => {
  for (const slow of [false, true]) {
    const tier = memoryTier(1 << 16);
    tier.slow = slow;
    tier.drop = () => {
      throw new Error("no disk");
    };
    const d = await cacheDriver([layoutPlugin(4), tierPlugin(tier)]);
    const [a, b] = [d.open([]), d.open([])];
    await append(d, a, range(9));
    await append(d, b, range(9, 20));
    assert.ok(d.cache.swapOut(a) && d.cache.swapOut(b));
    d.close(b);
    assert.ok(d.cache.comeBack(a));
    await append(d, a, [1]);
    await new Promise((resolve) => setTimeout(resolve));
    d.end();
  }
});
