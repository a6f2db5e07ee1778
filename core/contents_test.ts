import assert from "node:assert/strict";
import type { Plugin } from "./plugin.ts";
import { LostBlocks } from "./swap.ts";
import { type CacheDriver, cacheDriver, dice } from "./testing/cache_driver.ts";
import { codecPlugin, fakeCodec } from "./testing/fake_codec.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import {
  type ContentTier,
  contentTier,
  tierPlugin,
} from "./testing/memory_tier.ts";
import type { SeqId } from "./types.ts";

/** Of an open block of 4 positions in 2 layers. */
const BLOCK = 64;

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

function driver(
  tiers: readonly ContentTier[],
  options: Parameters<typeof cacheDriver>[1] = {},
  ...more: Plugin[]
): Promise<CacheDriver> {
  return cacheDriver([
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(...tiers),
    ...more,
  ], options);
}

/** Opens a prompt with what tiers have, and computes the rest. */
async function prompt(
  d: CacheDriver,
  tokens: readonly number[],
): Promise<{ readonly seq: SeqId; readonly cached: number }> {
  await d.cache.seek(tokens);
  const seq = d.open(tokens), cached = d.cache.length(seq);
  d.check();
  d.cache.summon(seq);
  await d.appendLoaded([{ seq, tokens: tokens.slice(cached) }]);
  return { seq, cached };
}

Deno.test("KVCache gives blocks that make room to a tier, and finds them there", async () => {
  for (const slow of [false, true]) {
    const tier = contentTier("leaving");
    tier.slow = slow;
    const d = await driver([tier], { budgetBytes: 8 * BLOCK });
    const { seq } = await prompt(d, range(21));
    d.close(seq);
    assert.equal(tier.shelf.size, 0);
    d.close((await prompt(d, range(30, 70))).seq);
    assert.ok(tier.shelf.size >= 3, `${tier.shelf.size} blocks left`);
    const again = await prompt(d, range(21));
    assert.equal(again.cached, 20);
    const { fetchedTokens, hitTokens } = d.cache.stat();
    assert.ok(fetchedTokens > 0 && hitTokens === 20, `${fetchedTokens}`);
    d.end();
  }
});

Deno.test("KVCache gives each block to a tier as soon as it is full, once, and another cache finds it", async () => {
  for (const slow of [false, true]) {
    const tier = contentTier("full");
    tier.slow = slow;
    const kept: string[] = [];
    const { keep } = tier.content!;
    Object.assign(tier.content!, {
      keep: (key: string, bytes: Uint8Array) => {
        kept.push(key);
        return keep(key, bytes, { salt: "", tokens: 4, fingerprint: "" });
      },
    });
    const one = await driver([tier]);
    const { seq } = await prompt(one, range(18));
    assert.equal(tier.shelf.size, 4);
    one.close((await prompt(one, [...range(16), 99, 98])).seq);
    one.close(seq);
    one.end();
    assert.equal(kept.length, new Set(kept).size);
    const second = contentTier("full", 1, tier.shelf);
    second.slow = slow;
    const two = await driver([second]);
    assert.equal((await prompt(two, range(18))).cached, 16);
    assert.equal(two.cache.stat().fetchedTokens, 16);
    // What came from there is not given back to it.
    assert.equal(second.shelf.size, 4);
    two.end();
  }
});

Deno.test("KVCache.open() does not wait for a slow tier that nobody asked before", async () => {
  const tier = contentTier("full");
  const one = await driver([tier]);
  await prompt(one, range(18));
  one.end();
  const slow = contentTier("full", 1, tier.shelf);
  slow.slow = true;
  const two = await driver([slow]);
  const seq = two.open(range(18));
  assert.equal(two.cache.length(seq), 0);
  two.end();
});

Deno.test("KVCache.load() reports lost blocks, and what came before them is found again", async () => {
  for (const slow of [false, true]) {
    const shelf = contentTier("full");
    const one = await driver([shelf]);
    await prompt(one, range(25));
    one.end();
    const tier = contentTier("full", 1, shelf.shelf);
    tier.slow = slow;
    const keys = [...shelf.shelf.keys()];
    tier.forgets = (key) => key === keys[3];
    const d = await driver([tier]);
    await assert.rejects(
      () => prompt(d, range(25)),
      (e) => e instanceof LostBlocks && [...e.lost.values()].join() === "12",
    );
    d.check();
    for (const seq of [...d.truth.keys()]) d.close(seq);
    d.check();
    const again = await prompt(d, range(25));
    assert.equal(again.cached, 12);
    d.end();
  }
});

Deno.test("KVCache.open() begins with as much as there is room for", async () => {
  const shelf = contentTier("full");
  const one = await driver([shelf]);
  await prompt(one, range(41));
  one.end();
  const tier = contentTier("full", 1, shelf.shelf);
  const d = await driver([tier], { budgetBytes: 7 * BLOCK });
  const seq = d.open(range(41));
  d.check();
  // One block is left for what is to be computed.
  assert.equal(d.cache.length(seq), 24);
  d.close(seq);
  d.check();
  assert.equal(d.cache.stat().blocks.idle, 0, "nothing came");
  d.end();
});

Deno.test("KVCache: sequences that want the same block on its way share it", async () => {
  const shelf = contentTier("full");
  const one = await driver([shelf]);
  await prompt(one, range(18));
  one.end();
  const tier = contentTier("full", 1, shelf.shelf);
  let reads = 0;
  const { read } = tier.content!;
  Object.assign(tier.content!, {
    read: (...a: Parameters<typeof read>) => (reads++, read(...a)),
  });
  tier.slow = true;
  const d = await driver([tier]);
  await d.cache.seek(range(18));
  const a = d.open(range(18)), b = d.open(range(18));
  assert.equal(d.cache.length(b), 16);
  d.cache.summon(a);
  assert.ok(d.cache.isComing(a));
  d.close(a);
  d.check();
  await d.appendLoaded([{ seq: b, tokens: [16, 17] }]);
  assert.equal(d.cache.isComing(b), false);
  assert.equal(reads, 4);
  d.end();
});

Deno.test("KVCache asks tiers only for what a window sees", async () => {
  const shelf = contentTier("full");
  const window = windowPlugin(6, 2, (l) => l.layer === 1);
  const one = await driver([shelf], {}, window);
  await prompt(one, range(38));
  one.end();
  const tier = contentTier("full", 1, shelf.shelf);
  const d = await driver([tier], {}, window);
  const { cached } = await prompt(d, range(38));
  assert.equal(cached, 36);
  // Nine blocks of the full layer; of the other the sinks' and the last two.
  assert.equal(d.cache.stat().moves, 12);
  d.end();
});

Deno.test("KVCache computes what a tier would take longer to bring", async () => {
  const shelf = contentTier("full");
  const one = await driver([shelf]);
  await prompt(one, range(18));
  one.end();
  const d = await driver([contentTier("full", 1, shelf.shelf)]);
  d.cache.rowSeconds = 1e-12;
  const { cached } = await prompt(d, range(18));
  assert.equal(cached, 0);
  assert.equal(d.cache.stat().declined, 1);
  d.end();
});

Deno.test("KVCache finds sealed and rounded blocks in tiers as they were", async () => {
  for (const id of ["fused", "rounded"]) {
    for (const keepFirst of [0, 1]) {
      const codec = codecPlugin(fakeCodec({ id, lossy: true, keepFirst }));
      const shelf = contentTier("full");
      const fused = { fused: ["fused"] };
      const one = await driver([shelf], fused, codec);
      const seq = one.open([]);
      for (let at = 0; at < 17; at += 4) {
        await one.appendLoaded([{
          seq,
          tokens: range(Math.min(4, 17 - at), 40 + at),
        }]);
      }
      one.end();
      const d = await driver(
        [contentTier("full", 1, shelf.shelf)],
        fused,
        codec,
      );
      const found = d.open(range(17, 40));
      assert.equal(d.cache.length(found), 16);
      await d.appendLoaded([{ seq: found, tokens: [56] }]);
      d.check();
      d.end();
    }
  }
});

Deno.test("KVCache lets only those find a lossy tier's blocks who ask the tier", async () => {
  const below = () =>
    codecPlugin(fakeCodec({ id: "coarse", lossy: true }), { tier: "memory-1" });
  const shelf = contentTier("full");
  const one = await driver([shelf], {}, below());
  await prompt(one, range(18, 40));
  one.end();
  assert.ok([...shelf.shelf.values()].every((b) => b.length === BLOCK / 2));
  const tier = contentTier("full", 1, shelf.shelf);
  const d = await driver([tier], {}, below());
  const seq = d.open(range(18, 40));
  assert.equal(d.cache.length(seq), 16);
  const r = d.cache.reserve([{ seq, tokens: [56] }]);
  assert.ok(r.ok);
  await d.cache.load(r);
  d.cache.commit(r);
  d.truth.set(seq, range(17, 40));
  shelf.shelf.clear();
  d.check();
  assert.equal(d.cache.open(range(18, 40)).cached, 0);
});

Deno.test("KVCache keeps its books while prefixes come and go at random", async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const roll = dice(seed);
    const near = contentTier("leaving"), far = contentTier("full", 2);
    const d = await driver(
      [near, far],
      { budgetBytes: 24 * BLOCK },
      ...roll(2) === 0 ? [windowPlugin(6, 2, (l) => l.layer === 0)] : [],
    );
    let fetched = 0;
    for (let i = 0; i < 120; i++) {
      for (const tier of [near, far]) {
        tier.slow = roll(2) === 0;
        tier.forgets = roll(8) === 0 ? () => roll(3) === 0 : () => false;
        for (const key of tier.shelf.keys()) {
          if (roll(12) === 0) tier.shelf.delete(key);
        }
      }
      const seqs = [...d.truth.keys()];
      const kind = roll(10);
      if (kind < 3 && seqs.length > 0) d.close(seqs[roll(seqs.length)]!);
      else if (kind === 3) d.cache.evictIdle();
      else {
        const text = [...range(4 + roll(30), roll(2)), roll(50)];
        await d.cache.seek(text);
        const seq = d.open(text);
        if (roll(3) === 0) d.cache.summon(seq);
        if (roll(6) === 0) d.close(seq);
        else {
          const cached = d.cache.length(seq);
          try {
            if (!await d.appendLoaded([{ seq, tokens: text.slice(cached) }])) {
              d.close(seq);
            }
          } catch (e) {
            assert.ok(e instanceof LostBlocks, String(e));
            d.close(seq);
          }
        }
      }
      d.check();
      fetched = d.cache.stat().fetchedTokens;
    }
    assert.ok(fetched > 0);
    d.end();
  }
});
