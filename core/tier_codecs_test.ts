import assert from "node:assert/strict";
import type { Plugin } from "./plugin.ts";
import { type CacheDriver, cacheDriver } from "./testing/cache_driver.ts";
import {
  codecPlugin,
  fakeCodec,
  type FakeCodecOptions,
} from "./testing/fake_codec.ts";
import { indexPlugin, layoutPlugin } from "./testing/fake_plan.ts";
import {
  type MemoryTier,
  memoryTier,
  tierPlugin,
} from "./testing/memory_tier.ts";
import type { SeqId } from "./types.ts";

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

const TIER = "memory-1";

/** Blocks of 4 positions in 2 layers: 64 bytes open, 32 sealed. */
async function driver(
  tier: MemoryTier,
  device: FakeCodecOptions | undefined,
  below: FakeCodecOptions | undefined,
  options: Parameters<typeof cacheDriver>[1] = {},
): Promise<CacheDriver> {
  const plugins: Plugin[] = [
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(tier),
    ...device ? [codecPlugin(fakeCodec(device))] : [],
    ...below ? [codecPlugin(fakeCodec(below), { tier: TIER })] : [],
  ];
  return await cacheDriver(plugins, { fused: ["fused"], ...options });
}

/** Bytes of the blocks that are out, largest first. */
function sizes(tier: MemoryTier): number[] {
  return [...tier.blocks.values()].map((b) => b.length).sort((a, b) => b - a);
}

async function append(
  d: CacheDriver,
  seq: SeqId,
  tokens: readonly number[],
): Promise<void> {
  assert.ok(await d.appendLoaded([{ seq, tokens }]));
}

Deno.test("KVCache.swapOut() moves sealed blocks as they are, and they come back so", async () => {
  for (const keepFirst of [0, 1]) {
    const tier = memoryTier(1 << 12);
    const d = await driver(
      tier,
      { id: "fused", lossy: true, keepFirst },
      undefined,
    );
    const seq = d.open([]);
    await append(d, seq, range(18, 41));
    const { used } = d.cache.stat().tiers[0]!;
    assert.ok(d.cache.swapOut(seq));
    d.check();
    assert.equal(d.cache.stat().tiers[1]!.used, used);
    assert.deepEqual(
      sizes(tier),
      keepFirst ? [64, 64, 32, 32, 32] : [64, 32, 32, 32, 32],
    );
    const other = d.open([]);
    await append(d, other, range(30));
    assert.ok(d.cache.comeBack(seq));
    await append(d, seq, range(7, 60));
    d.end();
  }
});

Deno.test("KVCache.swapOut() codes full blocks as the tier's codec says, and a lossless one changes no bit", async () => {
  for (const device of [undefined, { id: "rounded", lossy: true }]) {
    const tier = memoryTier(1 << 12);
    const d = await driver(tier, device, { id: "zip" });
    const seq = d.open([]);
    for (let from = 0; from < 18; from += 4) {
      await append(d, seq, range(Math.min(4, 18 - from), 41 + from));
    }
    assert.ok(d.cache.swapOut(seq));
    d.check();
    assert.deepEqual(sizes(tier), [64, 32, 32, 32, 32]);
    const other = d.open([]);
    await append(d, other, range(4, 7));
    assert.ok(d.cache.comeBack(seq));
    await append(d, seq, range(2, 60));
    await append(d, seq, range(4, 60));
    d.close(seq);
    // What came back as it went is found like any other.
    assert.equal(d.cache.open(range(18, 41)).cached, 0, "keys are given up");
    d.end();
  }
});

Deno.test("KVCache.swapOut() leaves codes alone where the tier's codec saves nothing by rule", async () => {
  for (const below of [{ id: "zip" }, { id: "fused", lossy: true }]) {
    const tier = memoryTier(1 << 12);
    const d = await driver(tier, { id: "fused", lossy: true }, below);
    const seq = d.open([]);
    await append(d, seq, range(18, 41));
    const before = d.backend.memory.bytes.slice();
    assert.ok(d.cache.swapOut(seq));
    const out = [...tier.blocks.values()];
    const all = [...before].join();
    for (const bytes of out) assert.ok(all.includes([...bytes].join()));
    assert.ok(d.cache.comeBack(seq));
    await append(d, seq, [1]);
    d.end();
  }
});

Deno.test("KVCache lets nobody find what came back from a lossy tier, nor what was computed from it", async () => {
  for (const device of [undefined, { id: "fused" }]) {
    const tier = memoryTier(1 << 12);
    const d = await driver(tier, device, { id: "coarse", lossy: true });
    const seq = d.open([]);
    await append(d, seq, range(8, 40));
    assert.ok(d.cache.swapOut(seq));
    assert.ok(d.cache.comeBack(seq));
    const work = [{ seq, tokens: range(9, 48) }];
    const r = d.cache.reserve(work);
    assert.ok(r.ok);
    await d.cache.load(r);
    // Even tokens in place of odd ones: the driver's oracle would say otherwise.
    assert.throws(() => d.run(r, work));
    d.cache.commit(r);
    d.truth.set(seq, range(17, 40));
    d.check();
    const made = d.cache.fork(seq);
    const more = d.cache.reserve([{ seq: made, tokens: range(8, 57) }]);
    assert.ok(more.ok);
    d.cache.commit(more);
    d.check();
    assert.equal(d.cache.open(range(25, 40)).cached, 0);
    const fresh = d.open([]);
    await append(d, fresh, range(8, 40));
    assert.equal(d.cache.open(range(25, 40)).cached, 8);
  }
});

Deno.test("KVCache.swapOut() moves blocks as they are where they cannot be read as values", async () => {
  const tier = memoryTier(1 << 12);
  const d = await driver(tier, undefined, { id: "coarse", lossy: true }, {
    opens: false,
  });
  const seq = d.open([]);
  await append(d, seq, range(10, 41));
  assert.ok(d.cache.swapOut(seq));
  assert.deepEqual(sizes(tier), [64, 64, 64]);
  assert.ok(d.cache.comeBack(seq));
  await append(d, seq, [1]);
  d.end();
});

Deno.test("KVCache.swapOut() counts a tier's room in the bytes its codec makes", async () => {
  // An open block and two coded ones; nothing for a third.
  const tier = memoryTier(64 + 2 * 32);
  const d = await driver(tier, undefined, { id: "zip" });
  const a = d.open([]), b = d.open([]);
  await append(d, a, range(10, 41));
  await append(d, b, range(4, 70));
  assert.ok(d.cache.swapSeconds(a) < Infinity);
  assert.ok(d.cache.swapOut(a));
  d.check();
  assert.equal(d.cache.swapSeconds(b), Infinity);
  assert.equal(d.cache.swapOut(b), false);
  d.close(a);
  assert.ok(d.cache.swapOut(b));
  d.end();
});
