import assert from "node:assert/strict";
import type { OpenOptions } from "../core/cache.ts";
import type { CacheEvent, Miss, MissReason } from "../core/slots.ts";
import {
  type CacheDriver,
  cacheDriver,
  dice,
} from "../core/testing/cache_driver.ts";
import { fakeGenerate } from "../core/testing/fake_backend.ts";
import { schedulerDriver } from "../core/testing/scheduler_driver.ts";
import {
  type EvictionSubject,
  evictionSuite,
} from "../core/testing/suites/eviction_suite.ts";
import { indexSuite } from "../core/testing/suites/index_suite.ts";
import { provided, providedAll } from "../core/testing/suites/suite.ts";
import { observerPlugin } from "../core/testing/toys.ts";
import { pagedAttention } from "./paged_attention.ts";
import { prefixCache, type PrefixCacheOptions } from "./prefix_cache.ts";
import { slidingWindow } from "./sliding_window.ts";

indexSuite("prefixCache()", () => provided(prefixCache(), "index"));
evictionSuite("prefixCache()", subject, { chains: true, priorities: true });

async function subject(): Promise<EvictionSubject> {
  const { index, evict } = await providedAll(prefixCache());
  return { index: index!, evict: evict! };
}

/** Blocks of 4 positions and 64 bytes. */
async function driver(
  options: PrefixCacheOptions & { blocks?: number } = {},
): Promise<CacheDriver> {
  const { blocks = 1000, ...mine } = options;
  const plugins = [pagedAttention({ blockTokens: 4 }), prefixCache(mine)];
  return await cacheDriver(plugins, { budgetBytes: blocks * 64 });
}

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => (from + i) % 97);
}

/** Computes a prompt and ends. */
function seed(
  d: CacheDriver,
  prompt: readonly number[],
  options: OpenOptions = {},
): void {
  const seq = d.open(prompt, options);
  const from = d.truth.get(seq)!.length;
  assert.ok(d.append([{ seq, tokens: prompt, from }]));
  d.close(seq);
  d.check();
}

/** What is found of a prompt, and why not more. */
function look(
  d: CacheDriver,
  prompt: readonly number[],
  options: OpenOptions = {},
): { cached: number; miss: Miss | undefined } {
  const { seq, cached, miss } = d.cache.open(prompt, options);
  d.cache.close(seq);
  return { cached, miss };
}

function miss(
  reason: MissReason,
  position: number,
  block: number = position >> 2,
): Miss {
  return { reason, position, block, group: 0 };
}

Deno.test("prefixCache() finds what a finished, and what a running request computed", async () => {
  const d = await driver();
  seed(d, range(30));
  assert.deepEqual(look(d, range(33)), {
    cached: 28,
    miss: miss("unseen", 28),
  });
  const running = d.open(range(30, 50));
  d.append([{ seq: running, tokens: range(30, 50) }]);
  assert.equal(look(d, [...range(30, 50), 1, 2, 3]).cached, 28);
  d.close(running);
  d.end();
});

Deno.test("prefixCache() never finds the last token, whose logits somebody wants", async () => {
  const d = await driver();
  seed(d, range(20));
  for (
    const [length, cached] of [[20, 16], [17, 16], [16, 12], [5, 4], [4, 0]]
  ) {
    assert.equal(look(d, range(length!)).cached, cached, `prompt of ${length}`);
  }
  assert.deepEqual(look(d, range(17)), { cached: 16, miss: undefined });
  assert.deepEqual(look(d, range(4)), { cached: 0, miss: miss("short", 0) });
  assert.deepEqual(look(d, [1]), { cached: 0, miss: miss("short", 0) });
});

Deno.test("prefixCache() names the first position that differs", async () => {
  const d = await driver();
  seed(d, range(24));
  seed(d, [...range(13), 90, 91, 92, 93]);
  for (let at = 0; at < 20; at++) {
    const prompt = range(24);
    prompt[at] = 95;
    const cached = at & ~3;
    assert.deepEqual(look(d, prompt), { cached, miss: miss("differs", at) });
  }
  // Two chains go on from block 2: the one that has more in common counts.
  const near = [...range(13), 90, 91, 7, 7, 7, 7, 7];
  assert.deepEqual(look(d, near).miss, miss("differs", 15));
});

Deno.test("prefixCache() says what nobody has seen: other starts, and what goes on from a chain's end", async () => {
  const d = await driver();
  assert.deepEqual(look(d, range(9)), { cached: 0, miss: miss("unseen", 0) });
  seed(d, range(8));
  assert.deepEqual(look(d, range(30)), { cached: 8, miss: miss("unseen", 8) });
  // Somebody's first token differs from all there are.
  assert.deepEqual(look(d, range(9, 60)).miss, miss("differs", 0));
});

Deno.test("prefixCache() says what was evicted, as long as it remembers", async () => {
  const d = await driver({ blocks: 5, remembered: 2 });
  seed(d, range(17));
  seed(d, range(17, 40));
  // Four blocks of the first chain made room for the second's.
  assert.deepEqual(look(d, range(17)), { cached: 0, miss: miss("evicted", 0) });
  d.cache.evictIdle();
  // Only the last two of eight are remembered: heads of the second chain.
  assert.deepEqual(look(d, range(17)).miss, miss("unseen", 0));
  assert.deepEqual(look(d, range(17, 40)).miss, miss("evicted", 0));
  const none = await driver({ blocks: 5, remembered: 0 });
  seed(none, range(17));
  none.cache.evictIdle();
  assert.deepEqual(look(none, range(17)).miss, miss("unseen", 0));
});

Deno.test("prefixCache() no longer says evicted once it is there again", async () => {
  const d = await driver();
  seed(d, range(17));
  d.cache.evictIdle();
  assert.deepEqual(look(d, range(17)).miss, miss("evicted", 0));
  seed(d, range(9));
  assert.deepEqual(look(d, range(17)), { cached: 8, miss: miss("evicted", 8) });
  seed(d, range(17));
  assert.deepEqual(look(d, range(17)), { cached: 16, miss: undefined });
});

Deno.test("prefixCache() takes what was written over for unseen, not for evicted", async () => {
  const d = await driver();
  const seq = d.open([]);
  d.append([{ seq, tokens: range(8) }]);
  d.trim(seq, 6);
  d.append([{ seq, tokens: [90, 91] }]);
  assert.deepEqual(look(d, range(9)), { cached: 4, miss: miss("differs", 6) });
  d.trim(seq, 5);
  assert.deepEqual(look(d, range(9)).miss, miss("differs", 6), "still there");
  d.append([{ seq, tokens: [90] }]);
  assert.deepEqual(look(d, range(9)).miss, miss("unseen", 4));
});

Deno.test("prefixCache() keeps salts apart, and says so", async () => {
  const d = await driver();
  seed(d, range(17), { salt: "a" });
  assert.equal(look(d, range(17), { salt: "a" }).cached, 16);
  for (const salt of ["", "b", "a/", "A"]) {
    assert.deepEqual(look(d, range(17), { salt }), {
      cached: 0,
      miss: miss("salted", 0),
    });
  }
  seed(d, range(8), { salt: "b" });
  assert.deepEqual(look(d, range(17), { salt: "b" }), {
    cached: 8,
    miss: miss("salted", 8),
  });
  // Its own chain differs, another's does not.
  const other = [...range(8), 1, 1, 1, 1, 1];
  assert.deepEqual(look(d, other, { salt: "b" }).miss, miss("unseen", 8));
});

Deno.test("prefixCache() and the cache say off and unwanted", async () => {
  const d = await driver();
  seed(d, range(17));
  assert.deepEqual(look(d, range(17), { reuse: false }), {
    cached: 0,
    miss: miss("unwanted", 0),
  });
  const off = await cacheDriver([pagedAttention({ blockTokens: 4 })]);
  seed(off, range(17));
  assert.deepEqual(look(off, range(17)), { cached: 0, miss: miss("off", 0) });
});

Deno.test("prefixCache() finds what a fork at a shorter length goes on with, by its own content", async () => {
  const d = await driver();
  const a = d.open([]);
  d.append([{ seq: a, tokens: range(24) }]);
  for (const length of [0, 3, 8, 9, 20]) {
    const b = d.fork(a, length);
    const own = range(24 - length, 30 + length);
    d.append([{ seq: b, tokens: own }]);
    const text = [...range(length), ...own];
    assert.equal(look(d, [...text, 1]).cached, 24, `fork at ${length}`);
    // The fork's last block does not go on from what the other had.
    const mixed = [...range(20), ...text.slice(20), 1];
    assert.equal(look(d, mixed).cached, length === 20 ? 24 : 20);
    d.close(b);
  }
  d.end();
});

Deno.test("prefixCache() counts misses by reason, and tells observers", async () => {
  const events: CacheEvent[] = [];
  const d = await cacheDriver([
    pagedAttention({ blockTokens: 4 }),
    prefixCache(),
    observerPlugin(events),
  ]);
  seed(d, range(17));
  look(d, range(17));
  look(d, [...range(5), 90, 91, 92, 93]);
  look(d, [1]);
  look(d, range(17), { salt: "x" });
  d.cache.evictIdle();
  look(d, range(17));
  const { misses, hits, hitTokens } = d.cache.stat();
  assert.deepEqual(misses, {
    short: 1,
    differs: 1,
    unseen: 1,
    evicted: 1,
    salted: 1,
    adapters: 0,
    unwanted: 0,
    off: 0,
  });
  assert.deepEqual([hits, hitTokens], [2, 20]);
  const told = events.filter((e) => e.type === "miss").map((e) => e.miss);
  assert.deepEqual(told.map((m) => m.reason), [
    "unseen",
    "differs",
    "short",
    "salted",
    "evicted",
  ]);
  assert.equal(events.filter((e) => e.type === "hit").length, 2);
});

Deno.test("prefixCache() gives up a chain's tail before its head", async () => {
  const d = await driver({ blocks: 6 });
  seed(d, range(17));
  // Takes three of what is left: one is free, the tail of the chain goes.
  seed(d, range(12, 60));
  const { cached } = look(d, range(17));
  assert.equal(cached, 12);
});

Deno.test("prefixCache() gives up the tail first where the head has been idle for longer", async () => {
  const d = await driver({ blocks: 6 });
  // Two compute the same start side by side: the blocks of the first are found.
  const a = d.open([]), b = d.open([]);
  d.append([{ seq: a, tokens: range(8) }]);
  d.append([{ seq: b, tokens: range(12) }]);
  d.close(a); // the head of the chain idles first
  d.close(b); // then its tail
  assert.deepEqual(d.cache.stat().blocks, { open: 0, sealed: 3, idle: 3 });
  assert.equal(look(d, range(13)).cached, 12);
  const c = d.open([]);
  d.append([{ seq: c, tokens: range(16, 50) }]);
  assert.equal(d.cache.stat().evictions, 1);
  assert.equal(look(d, range(13)).cached, 8, "the tail is gone");
  d.check();
});

Deno.test("prefixCache() finds more by keeping heads than the order of use alone would", async () => {
  const d = await driver({ blocks: 8 });
  seed(d, [...range(8), ...range(8, 20)]);
  seed(d, [...range(8), ...range(8, 40)]);
  seed(d, range(12, 70));
  assert.equal(look(d, [...range(8), 1]).cached, 8);
});

Deno.test("prefixCache() keeps what is worth more, and its head with it", async () => {
  const d = await driver({ blocks: 8 });
  seed(d, range(12), { priority: 5 });
  for (let i = 0; i < 6; i++) seed(d, range(17, 20 + 12 * i));
  assert.deepEqual(look(d, range(13)), { cached: 12, miss: undefined });
  // Where nothing else is left it goes as well.
  const all = d.open([]);
  assert.ok(d.append([{ seq: all, tokens: range(32, 3) }]));
  assert.equal(look(d, range(13)).miss!.reason, "evicted");
});

Deno.test("prefixCache() takes a block for worth more once a request that is worth more uses it", async () => {
  const d = await driver({ blocks: 8 });
  seed(d, range(13));
  look(d, range(13), { priority: 3 });
  for (let i = 0; i < 6; i++) seed(d, range(17, 20 + 12 * i), { priority: 2 });
  assert.equal(look(d, range(13)).cached, 12);
});

Deno.test("prefixCache() finds exactly the longest start there is, while nothing is evicted", async () => {
  const d = await driver({ blocks: 16_000 });
  const roll = dice(4);
  const done = new Map<string, number[][]>([["", []], ["x", []]]);
  const open: { seq: ReturnType<typeof d.open>; salt: string }[] = [];
  for (let i = 0; i < 1500; i++) {
    const salt = roll(2) === 0 ? "" : "x";
    const prompt = Array.from({ length: roll(30) }, () => roll(2));
    const common = (other: readonly number[]) => {
      let n = 0;
      while (n < prompt.length && other[n] === prompt[n]) n++;
      return n;
    };
    let longest = 0;
    for (const text of done.get(salt)!) {
      longest = Math.max(longest, common(text.slice(0, text.length & ~3)));
    }
    const most = Math.max(0, prompt.length - 1) & ~3;
    const wanted = Math.min(most, longest & ~3);
    const { cached, miss } = look(d, prompt, { salt });
    assert.equal(cached, wanted, `prompt ${prompt}`);
    assert.equal(miss === undefined, cached === most && most > 0);
    if (miss?.reason === "differs") assert.equal(miss.position, longest);
    const seq = d.open(prompt, { salt });
    if (cached < prompt.length) {
      d.append([{ seq, tokens: prompt, from: cached }]);
      done.get(salt)!.push(prompt);
    }
    open.push({ seq, salt });
    if (open.length > 5) d.close(open.splice(roll(open.length), 1)[0]!.seq);
  }
  d.check();
  assert.equal(d.cache.stat().evictions, 0);
  d.end();
});

Deno.test("prefixCache() changes no token of requests with starts in common", async () => {
  const plugins = [
    pagedAttention({ blockTokens: 4 }),
    prefixCache(),
    slidingWindow({ window: 9, sinks: 2, layers: (l) => l.layer === 1 }),
  ];
  const d = await schedulerDriver(plugins, { budgetBytes: 60 * 64, rows: 16 });
  const requests = Array.from({ length: 30 }, (_, i) => ({
    id: `r${i}`,
    prompt: [...range(9 + i % 7), i % 3, i],
    maxTokens: 9,
    tenant: ["", "a"][i % 2]!,
  }));
  for (const r of requests) d.scheduler.add(r);
  d.drain();
  for (const { id, prompt, maxTokens } of requests) {
    const wanted = fakeGenerate(d.plan, prompt, maxTokens);
    assert.deepEqual(d.finished.get(id)!.tokens, wanted, id);
  }
  assert.ok(d.cache.stat().hitTokens > 100);
  d.cache.evictIdle();
  assert.equal(d.backend.memory.stat().used, 0);
});

Deno.test("prefixCache() keeps no more than `mostBytes` that nobody uses, heads before tails", async () => {
  for (const [mostBytes, blocks] of [[0, 0], [63, 0], [64, 1], [200, 3]]) {
    const d = await driver({ mostBytes: mostBytes! });
    const seq = d.open([]);
    d.append([{ seq, tokens: range(24) }]);
    assert.equal(d.cache.stat().evictions, 0, "what is used stays");
    assert.equal(look(d, range(24)).cached, 20);
    d.close(seq);
    d.check();
    assert.equal(d.cache.stat().blocks.idle, blocks);
    assert.equal(look(d, range(24)).cached, blocks! * 4);
    d.end();
  }
});

Deno.test("prefixCache() refuses to remember, or to keep, less than nothing", () => {
  for (const value of [-1, 1.5, NaN, Infinity]) {
    for (const name of ["remembered", "mostBytes"]) {
      assert.throws(
        () => prefixCache({ [name]: value }),
        (e: unknown) =>
          e instanceof RangeError && e.message.includes(`"${name}" ${value}`),
      );
    }
  }
});
