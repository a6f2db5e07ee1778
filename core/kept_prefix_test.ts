import assert from "node:assert/strict";
import type { KeptBlock } from "./kept_prefix.ts";
import type { Plugin } from "./plugin.ts";
import { type CacheDriver, cacheDriver, dice } from "./testing/cache_driver.ts";
import { codecPlugin, fakeCodec } from "./testing/fake_codec.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import { contentTier, tierPlugin } from "./testing/memory_tier.ts";

/** A block of 4 tokens in 2 layers. */
const BLOCK = 64;

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

/** Computes tokens and leaves what they fill idle. */
function compute(d: CacheDriver, tokens: readonly number[], salt = ""): void {
  const seq = d.open(tokens, { salt });
  // Some codecs want steps to end where blocks do.
  for (let from = d.cache.length(seq); from < tokens.length;) {
    const to = Math.min(tokens.length, from - from % 4 + 4);
    assert.ok(d.append([{ seq, tokens, from, to }]));
    from = to;
  }
  d.close(seq);
}

interface Copy {
  readonly length: number;
  readonly blocks: readonly { block: KeptBlock; bytes: Uint8Array }[];
}

/** What a cache has of the tokens, copied out. */
function copyOut(d: CacheDriver, tokens: readonly number[], salt = ""): Copy {
  const kept = d.cache.keptPrefix(tokens, { salt });
  const blocks = kept.blocks.map((block) => {
    const bytes = new Uint8Array(block.bytes);
    assert.equal(kept.read(block, bytes), true);
    return { block, bytes };
  });
  return { length: kept.length, blocks };
}

/** Copies it in; returns how many positions are found then. */
function copyIn(
  d: CacheDriver,
  tokens: readonly number[],
  { length, blocks }: Copy,
  salt = "",
): number {
  const kept = d.cache.keptPrefix(tokens, { length, salt });
  assert.deepEqual(
    kept.blocks.map((b) => b.content),
    blocks.map(({ block }) => block.content),
  );
  for (const [i, block] of kept.blocks.entries()) {
    if (!kept.plant(block, blocks[i]!.bytes)) break;
    d.check();
  }
  d.check();
  return kept.found;
}

/** Computes one more token behind what is found, against the oracle. */
function proves(
  d: CacheDriver,
  tokens: readonly number[],
  cached: number,
  salt = "",
): void {
  const all = [...tokens, 50], seq = d.open(all, { salt });
  assert.equal(d.cache.length(seq), cached);
  assert.ok(d.append([{ seq, tokens: all, from: cached }]));
  d.close(seq);
}

const lossy = fakeCodec({ lossy: true, keepFirst: 1 });

/** Plugins, what their backend fuses, and blocks of 24 tokens that are copied. */
const WAYS: Readonly<
  Record<string, [plugins: () => Plugin[], fused: string[], blocks: number]>
> = {
  "as computed": [() => [layoutPlugin(4)], [], 6],
  "rounded": [() => [layoutPlugin(4), codecPlugin(lossy)], [], 6],
  "coded": [() => [layoutPlugin(4), codecPlugin(lossy)], ["fake"], 6],
  // Positions 0 and 1, and 16 to 23.
  "windowed": [() => [layoutPlugin(4), windowPlugin(8, 2)], [], 3],
  "of two groups": [
    () => [layoutPlugin(4), windowPlugin(8, 0, (l) => l.layer === 0)],
    [],
    6 + 2,
  ],
};

for (const [name, [plugins, fused, count]] of Object.entries(WAYS)) {
  Deno.test(`KVCache.keptPrefix() brings blocks from cache to cache: ${name}`, async () => {
    const all = () => [indexPlugin(), ...plugins()];
    const from = await cacheDriver(all(), { fused });
    const to = await cacheDriver(all(), { fused });
    const tokens = range(26, 3);
    compute(from, tokens);
    const { hits } = from.cache.stat();
    const copy = copyOut(from, tokens);
    assert.deepEqual([copy.length, copy.blocks.length], [24, count]);
    assert.equal(from.cache.stat().hits, hits);
    from.check();
    assert.equal(copyIn(to, tokens, copy), 24);
    proves(to, tokens, 24);
    // A second time there is nothing to do.
    const { live } = { live: to.cache.stat().blocks.sealed };
    assert.equal(copyIn(to, tokens, copy), 24);
    assert.equal(to.cache.stat().blocks.sealed, live);
    to.end();
    from.end();
  });
}

Deno.test("KVCache.keptPrefix() takes whole blocks, and the start that is there", async () => {
  const d = await cacheDriver([layoutPlugin(4), indexPlugin()]);
  const tokens = range(13);
  assert.equal(d.cache.keptPrefix(tokens).length, 0);
  assert.deepEqual(d.cache.keptPrefix(tokens).blocks, []);
  compute(d, tokens);
  assert.equal(d.cache.keptPrefix(tokens).length, 12);
  assert.equal(d.cache.keptPrefix(tokens.slice(0, 12)).length, 12);
  assert.equal(d.cache.keptPrefix(tokens.slice(0, 11)).length, 8);
  assert.equal(d.cache.keptPrefix([...range(8), 90, 91, 92, 93]).length, 8);
  assert.equal(d.cache.keptPrefix(tokens, { salt: "a" }).length, 0);
  for (const length of [3, 16, -4]) {
    assert.throws(() => d.cache.keptPrefix(tokens, { length }), RangeError);
  }
  const bare = await cacheDriver([layoutPlugin(4)]);
  compute(bare, tokens);
  assert.equal(bare.cache.keptPrefix(tokens).length, 0);
  d.end();
});

Deno.test("KVCache.keptPrefix() brings blocks from salt to salt, and to no other", async () => {
  const plugins = () => [layoutPlugin(4), indexPlugin()];
  const from = await cacheDriver(plugins()), to = await cacheDriver(plugins());
  const tokens = range(26);
  compute(from, tokens, "a");
  const copy = copyOut(from, tokens, "a");
  assert.equal(copyIn(to, tokens, copy, "b"), 24);
  proves(to, tokens, 24, "b");
  for (const salt of ["", "a"]) {
    assert.equal(to.cache.keptPrefix(tokens, { salt }).length, 0);
  }
  to.end();
  from.end();
});

Deno.test("KeptPrefix.read() misses what was evicted meanwhile", async () => {
  const d = await cacheDriver([layoutPlugin(4), indexPlugin()]);
  compute(d, range(13));
  const kept = d.cache.keptPrefix(range(13));
  d.cache.evictIdle();
  assert.equal(kept.read(kept.blocks[0]!, new Uint8Array(BLOCK)), false);
  assert.deepEqual([0, 1, 2, 3].map((n) => kept.reach(n)), [0, 4, 8, 12]);
  const both = await cacheDriver([
    layoutPlugin(4, (l) => l.layer === 0),
    layoutPlugin(6, (l) => l.layer === 1),
    indexPlugin(),
  ]);
  const two = both.cache.keptPrefix(range(24), { length: 24 });
  // Ends of blocks: 4, 6, 8, 12 (both), 16, 18, 20, 24 (both).
  const reached = Array.from({ length: 11 }, (_, n) => two.reach(n));
  assert.deepEqual(reached, [0, 0, 0, 0, 0, 12, 12, 12, 12, 12, 24]);
  const seen = await cacheDriver([
    layoutPlugin(4),
    windowPlugin(8),
    indexPlugin(),
  ]);
  const part = seen.cache.keptPrefix(range(24), { length: 24 });
  assert.deepEqual([0, 1, 2].map((n) => part.reach(n)), [0, 0, 24]);
});

Deno.test("KeptPrefix.read() takes what a tier has by content, as it was", async () => {
  const tier = contentTier("leaving");
  const plugins = () => [layoutPlugin(4), indexPlugin()];
  const from = await cacheDriver([...plugins(), tierPlugin(tier)]);
  const to = await cacheDriver(plugins());
  const tokens = range(26);
  compute(from, tokens);
  from.cache.evictIdle();
  assert.equal(from.cache.stat().blocks.sealed, 0);
  const copy = copyOut(from, tokens);
  assert.deepEqual([copy.length, copy.blocks.length], [24, 6]);
  assert.equal(copyIn(to, tokens, copy), 24);
  proves(to, tokens, 24);
  const kept = from.cache.keptPrefix(tokens);
  tier.slow = true;
  assert.equal(
    await kept.read(kept.blocks[0]!, new Uint8Array(kept.blocks[0]!.bytes)),
    false,
    "a tier that does not answer at once has nothing that is known",
  );
  tier.slow = false;
  tier.forgets = () => true;
  assert.equal(kept.read(kept.blocks[1]!, new Uint8Array(64)), false);
  to.end();
});

Deno.test("KeptPrefix.plant() makes room among idle blocks, and among them only", async () => {
  const from = await cacheDriver([layoutPlugin(4), indexPlugin()]);
  const tokens = range(40);
  compute(from, tokens);
  const copy = copyOut(from, tokens);
  for (
    const [blocks, used, idle, found] of [
      [20, 4, 3, 40], // room enough
      [12, 4, 4, 32], // the four idle ones make room
      [12, 9, 0, 12],
      [5, 5, 0, 0],
    ] as const
  ) {
    const d = await cacheDriver([layoutPlugin(4), indexPlugin()], {
      budgetBytes: blocks * BLOCK,
    });
    const busy = d.open([]);
    assert.ok(d.append([{ seq: busy, tokens: range(4 * used, 41) }]));
    if (idle > 0) compute(d, range(4 * idle, 60));
    assert.equal(copyIn(d, tokens, copy), found, `${blocks} ${used} ${idle}`);
    assert.equal(d.cache.length(busy), 4 * used);
    d.close(busy);
    proves(d, tokens.slice(0, found), found);
    d.end();
  }
  from.end();
});

Deno.test("KeptPrefix.plant() leaves a window alone that does not fit whole", async () => {
  const plugins = () => [layoutPlugin(4), windowPlugin(16), indexPlugin()];
  const from = await cacheDriver(plugins());
  compute(from, range(40));
  const copy = copyOut(from, range(40));
  assert.equal(copy.blocks.length, 4);
  const d = await cacheDriver(plugins(), { budgetBytes: 4 * BLOCK });
  const busy = d.open([]);
  assert.ok(d.append([{ seq: busy, tokens: [1] }]));
  assert.equal(copyIn(d, range(40), copy), 0);
  assert.equal(d.cache.stat().blocks.idle, 0);
  d.end();
});

Deno.test("blocks that are copied among running sequences are what they were", async () => {
  for (let seed = 1; seed <= 25; seed++) {
    const roll = dice(seed);
    const [plugins, fused] = Object.values(WAYS)[seed % 5]!;
    const all = () => [indexPlugin(), ...plugins()];
    const from = await cacheDriver(all(), { fused });
    const to = await cacheDriver(all(), {
      fused,
      budgetBytes: (14 + roll(30)) * BLOCK,
    });
    const texts = [range(30), range(30, 9), [...range(12), ...range(20, 60)]];
    for (const text of texts) compute(from, text);
    const copies = texts.map((text) => copyOut(from, text));
    const open = new Map<number, number>();
    for (let act = 0; act < 60; act++) {
      const i = roll(3), text = texts[i]!;
      const seq = open.get(i);
      switch (roll(5)) {
        case 0: {
          if (seq === undefined) open.set(i, to.open(text));
          break;
        }
        case 1:
        case 2: {
          if (seq === undefined) break;
          const from = to.cache.length(seq as never);
          const end = Math.min(text.length, from + 1 + roll(4 - from % 4));
          if (end > from) {
            to.append([{ seq: seq as never, tokens: text, from, to: end }]);
          }
          break;
        }
        case 3: {
          if (seq !== undefined) to.close(seq as never);
          open.delete(i);
          break;
        }
        default:
          copyIn(to, text, copies[i]!);
      }
      to.check();
    }
    to.end();
    from.end();
  }
});
