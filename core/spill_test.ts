import assert from "node:assert/strict";
import { LostBlocks } from "./swap.ts";
import { type CacheDriver, cacheDriver } from "./testing/cache_driver.ts";
import { codecPlugin, fakeCodec } from "./testing/fake_codec.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import {
  type MemoryTier,
  memoryTier,
  readableTier,
  tierPlugin,
} from "./testing/memory_tier.ts";
import type { Plugin } from "./plugin.ts";
import type { SeqId } from "./types.ts";

/** Of an open block of 4 positions in 2 layers. */
const BLOCK = 64;

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => (from + i) % 97);
}

function driver(
  tier: MemoryTier,
  blocks: number,
  ...more: Plugin[]
): Promise<CacheDriver> {
  return cacheDriver([
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(tier),
    ...more,
  ], { budgetBytes: blocks * BLOCK, segmentTokens: 8, fused: ["fused"] });
}

/** Appends as a scheduler does when there is nobody else to give way. */
function append(
  d: CacheDriver,
  seq: SeqId,
  tokens: readonly number[],
): boolean {
  const work = [{ seq, tokens }];
  for (;;) {
    const r = d.cache.reserve(work);
    if (!r.ok) {
      if (d.cache.spill(seq, r.bytes)) continue;
      return false;
    }
    d.check();
    try {
      d.run(r, work);
    } catch (e) {
      d.cache.cancel(r);
      throw e;
    }
    d.cache.commit(r);
    d.check();
    return true;
  }
}

Deno.test("KVCache.spill() makes room for a sequence far larger than the device", async () => {
  const variants: Plugin[][] = [
    [],
    [windowPlugin(6, 2, (l) => l.layer === 0)],
    [codecPlugin(fakeCodec({ id: "fused", lossy: true }))],
    [codecPlugin(fakeCodec({ id: "fused", lossy: true, keepFirst: 1 }))],
  ];
  for (const more of variants) {
    const tier = readableTier(1 << 16);
    const d = await driver(tier, 5, ...more);
    const seq = d.open([]);
    assert.ok(d.cache.missingBytes(120) === 0);
    for (let at = 0; at < 120; at += 3) {
      assert.ok(append(d, seq, range(3, at)), `at ${at}`);
    }
    assert.ok(d.cache.isSpilled(seq));
    assert.ok(tier.blocks.size > 8, `${tier.blocks.size} blocks`);
    assert.throws(() => d.cache.fork(seq), RangeError);
    d.close(seq);
    assert.equal(tier.blocks.size, 0);
    d.end();
  }
});

Deno.test("KVCache.spill() moves the oldest blocks, and no more than are needed", async () => {
  const tier = readableTier(1 << 16);
  const d = await driver(tier, 6);
  const seq = d.open([]);
  assert.ok(append(d, seq, range(22)));
  assert.equal(d.cache.spill(seq, 1), true);
  assert.equal(tier.blocks.size, 1);
  assert.equal(d.cache.spill(seq, 2 * BLOCK), true);
  assert.equal(tier.blocks.size, 3);
  // The open block stays.
  assert.equal(d.cache.spill(seq, 100 * BLOCK), true);
  assert.equal(tier.blocks.size, 5);
  assert.equal(d.cache.spill(seq, 1), false);
  d.check();
  assert.ok(append(d, seq, range(9, 22)));
  d.end();
});

Deno.test("KVCache.spill() leaves what others use, and what no tier has room for", async () => {
  const d = await driver(readableTier(2 * BLOCK), 12);
  const a = d.open([]);
  assert.ok(append(d, a, range(9)));
  const b = d.fork(a);
  assert.ok(append(d, b, range(14, 40)));
  assert.equal(d.cache.spill(b, 100 * BLOCK), true);
  assert.equal(d.cache.stat().tiers[1]!.used, 2 * BLOCK);
  assert.ok(append(d, a, range(5)));
  assert.ok(append(d, b, range(5)));
  d.end();
  const none = await driver(memoryTier(1 << 16), 4);
  const c = none.open([]);
  assert.ok(append(none, c, range(9)));
  assert.equal(none.cache.spill(c, 1), false, "it reads no parts");
  assert.ok(none.cache.missingBytes(40) > 0);
  none.end();
});

Deno.test("KVCache.fill() takes one sequence that spilled, beside others", async () => {
  const d = await driver(readableTier(1 << 16), 20);
  const [a, b, c] = [d.open([]), d.open([]), d.open([])];
  for (const [i, seq] of [a, b, c].entries()) {
    assert.ok(append(d, seq, range(18, 10 * i)));
  }
  assert.ok(d.cache.spill(a, 2 * BLOCK));
  assert.ok(d.append([{ seq: b, tokens: [1] }, { seq: a, tokens: [2, 3] }]));
  d.check();
  assert.ok(d.cache.spill(c, BLOCK));
  const work = [{ seq: a, tokens: [1] }, { seq: c, tokens: [2] }];
  const r = d.cache.reserve(work);
  assert.ok(r.ok);
  assert.throws(() => d.run(r, work), /one whose blocks do not fit/);
  d.cache.cancel(r);
  assert.ok(append(d, c, [4]));
  d.end();
});

Deno.test("KVCache.cutLost() keeps what is whole, and it goes on from there", async () => {
  const tier = readableTier(1 << 16);
  const d = await driver(tier, 6);
  const seq = d.open([]);
  for (let at = 0; at < 42; at += 6) assert.ok(append(d, seq, range(6, at)));
  const gone = [...tier.blocks.keys()][2]!;
  tier.loses = (block) => block === gone;
  const before = d.truth.get(seq)!.length;
  let lost: ReadonlyMap<SeqId, number> | undefined;
  try {
    append(d, seq, range(2, 42));
  } catch (e) {
    assert.ok(e instanceof LostBlocks, String(e));
    lost = e.lost;
  }
  assert.deepEqual([...lost!], [[seq, 8]]);
  assert.equal(d.cache.length(seq), before);
  assert.ok(d.cache.cutLost(seq, 8));
  d.truth.set(seq, range(8));
  d.check();
  for (let at = 8; at < 50; at += 6) assert.ok(append(d, seq, range(6, at)));
  d.end();
});
