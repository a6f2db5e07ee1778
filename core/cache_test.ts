import assert from "node:assert/strict";
import type { Reservation, Shortfall } from "./cache_types.ts";
import type { CacheEvent } from "./slots.ts";
import { cacheDriver } from "./testing/cache_driver.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import type { SeqId } from "./types.ts";

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

function ok(r: Reservation | Shortfall): Reservation {
  assert.ok(r.ok);
  return r;
}

// A block of 4,096 tokens in 2 layers.
const BLOCK = 65536;

Deno.test("KVCache runs prompts in chunks and tokens one by one alike", async () => {
  const d = await cacheDriver([layoutPlugin(4)]);
  const a = d.open([]);
  const b = d.open([]);
  assert.ok(d.append([{ seq: a, tokens: range(30) }]));
  for (let i = 0; i < 30; i++) assert.ok(d.append([{ seq: b, tokens: [i] }]));
  assert.ok(d.append([{ seq: a, tokens: [7] }, { seq: b, tokens: [8, 9] }]));
  d.check();
  d.end();
});

Deno.test("KVCache.reserve() shows readers nothing before commit()", async () => {
  const d = await cacheDriver([layoutPlugin(4)]);
  const seq = d.open([]);
  d.append([{ seq, tokens: range(6) }]);
  const used = d.cache.stat();
  const r = ok(d.cache.reserve([{ seq, tokens: range(9) }]));
  assert.equal(d.cache.length(seq), 6);
  d.cache.check();
  d.cache.cancel(r);
  assert.deepEqual(d.cache.stat(), used);
  assert.ok(d.append([{ seq, tokens: [50] }]));
  d.end();
});

Deno.test("KVCache refuses to touch a sequence that a step holds", async () => {
  const d = await cacheDriver([layoutPlugin(4)]);
  const seq = d.open([]);
  const r = ok(d.cache.reserve([{ seq, tokens: [1] }]));
  for (
    const act of [
      () => d.cache.close(seq),
      () => d.cache.fork(seq),
      () => d.cache.trim(seq, 0),
      () => d.cache.reserve([{ seq, tokens: [1] }]),
    ]
  ) assert.throws(act, /a step holds it/);
  d.cache.commit(r);
  assert.throws(() => d.cache.commit(r), TypeError);
  assert.throws(() => d.cache.fill(r, d.backend.batch), TypeError);
  d.cache.close(seq);
  assert.throws(() => d.cache.length(seq), /Cannot find sequence 1/);
  assert.throws(() => d.cache.close(99 as SeqId), TypeError);
});

Deno.test("KVCache.reserve() refuses a sequence named twice, and no tokens", async () => {
  const d = await cacheDriver([]);
  const seq = d.open([]);
  const one = { seq, tokens: [1] };
  assert.throws(() => d.cache.reserve([one, one]), /twice/);
  assert.throws(() => d.cache.reserve([{ seq, tokens: [] }]), /no tokens/);
  d.check();
  assert.ok(d.append([one]));
});

Deno.test("KVCache.reserve() says what is missing and takes nothing", async () => {
  const d = await cacheDriver([layoutPlugin(4096)], { budgetBytes: 2 * BLOCK });
  const a = d.open([]);
  const b = d.open([]);
  d.append([{ seq: a, tokens: [1] }]);
  const r = d.cache.reserve([
    { seq: a, tokens: range(10) },
    { seq: b, tokens: range(4097) },
  ]);
  assert.deepEqual(r, { ok: false, blocks: 1, bytes: BLOCK });
  d.check();
  assert.ok(d.append([{ seq: b, tokens: [1] }]));
  d.end();
});

Deno.test("KVCache.reserve() says so where the device has less than the budget", async () => {
  const d = await cacheDriver([layoutPlugin(4096)], {
    bytes: 2 * BLOCK,
    budgetBytes: 4 * BLOCK,
  });
  const a = d.open([]);
  assert.ok(d.append([{ seq: a, tokens: [1] }]));
  const b = d.fork(a);
  const short = d.cache.reserve([{ seq: a, tokens: [1] }, {
    seq: b,
    tokens: [1],
  }]);
  assert.equal(short.ok, false);
  d.check();
  d.close(b);
  assert.ok(d.append([{ seq: a, tokens: [1] }]));
  d.end();
});

Deno.test("KVCache.fork() shares blocks and copies only the tail", async () => {
  const d = await cacheDriver([layoutPlugin(4)]);
  const a = d.open([]);
  d.append([{ seq: a, tokens: range(10) }]);
  const b = d.fork(a);
  const c = d.fork(b);
  assert.equal(d.cache.stat().blocks.open + d.cache.stat().blocks.sealed, 3);
  d.append([a, b, c].map((seq, i) => ({ seq, tokens: [60 + i] })));
  d.check();
  assert.equal(d.cache.stat().copies, 2, "the last one writes in place");
  const { open, sealed } = d.cache.stat().blocks;
  assert.deepEqual([open, sealed], [3, 2]);
  d.close(a);
  d.append([{ seq: b, tokens: range(5) }, { seq: c, tokens: range(5, 20) }]);
  d.end();
});

Deno.test("KVCache.fork() at a block's end copies nothing", async () => {
  const d = await cacheDriver([layoutPlugin(4)]);
  const a = d.open([]);
  d.append([{ seq: a, tokens: range(8) }]);
  const b = d.fork(a);
  d.append([{ seq: a, tokens: [1] }, { seq: b, tokens: [2] }]);
  assert.equal(d.cache.stat().copies, 0);
  d.end();
});

Deno.test("KVCache.trim() takes positions back, in shared and in sealed blocks", async () => {
  const d = await cacheDriver([layoutPlugin(4), indexPlugin()]);
  const a = d.open([]);
  d.append([{ seq: a, tokens: range(16) }]);
  const b = d.fork(a);
  assert.ok(d.trim(a, 6));
  d.append([{ seq: a, tokens: range(6, 40) }]);
  d.check();
  d.append([{ seq: b, tokens: [3] }]);
  d.trim(b, 0);
  d.append([{ seq: b, tokens: range(5) }]);
  d.check();
  assert.throws(() => d.cache.trim(b, 6), /0 to 5 are possible/);
  assert.throws(() => d.cache.trim(b, -1), RangeError);
  d.end();
});

Deno.test("KVCache.open() finds a trimmed and rewritten chain by its new content", async () => {
  const d = await cacheDriver([layoutPlugin(4), indexPlugin()]);
  const a = d.open([]);
  d.append([{ seq: a, tokens: range(12) }]);
  d.trim(a, 6);
  d.append([{ seq: a, tokens: [70, 71, 72, 73, 74, 75] }]);
  const now = [...range(6), 70, 71, 72, 73, 74, 75, 76];
  assert.equal(d.cache.open(now).cached, 12);
  assert.equal(d.cache.open([...range(13)]).cached, 4);
});

Deno.test("KVCache.open() reuses whole blocks of running and of closed sequences", async () => {
  const d = await cacheDriver([layoutPlugin(4), indexPlugin()]);
  const prompt = range(18);
  const a = d.open(prompt);
  d.append([{ seq: a, tokens: prompt }]);
  for (
    const [other, cached] of [
      [prompt, 16],
      [range(17), 16],
      [range(16), 12],
      [range(5), 4],
      [range(4), 0],
      [[], 0],
      [[...range(8), 90, ...range(9)], 8],
      [[90, ...range(17)], 0],
    ] as const
  ) {
    const { seq, cached: found } = d.cache.open(other);
    assert.equal(found, cached, `prompt [${other}]`);
    d.cache.close(seq);
  }
  d.close(a);
  assert.equal(d.cache.stat().blocks.idle, 4);
  const b = d.open(prompt);
  assert.equal(d.truth.get(b)!.length, 16);
  assert.equal(d.cache.stat().blocks.idle, 0);
  d.append([{ seq: b, tokens: [16, 17] }]);
  assert.equal(d.cache.open(prompt, { reuse: false }).cached, 0);
  d.check();
});

Deno.test("KVCache.open() reuses blocks of windowed groups that are still there", async () => {
  const d = await cacheDriver([
    layoutPlugin(4),
    indexPlugin(),
    windowPlugin(6, 2, (l) => l.layer === 0),
  ]);
  const prompt = range(41);
  const a = d.open(prompt);
  for (let i = 0; i < 41; i += 3) {
    d.append([{ seq: a, tokens: prompt, from: i, to: Math.min(41, i + 3) }]);
  }
  const b = d.open(prompt);
  assert.equal(d.truth.get(b)!.length, 40);
  d.append([{ seq: b, tokens: range(30) }]);
  d.check();
  d.end();
});

Deno.test("KVCache.commit() releases what no later query sees, and not before", async () => {
  const d = await cacheDriver([layoutPlugin(4), windowPlugin(8, 3)]);
  const seq = d.open([]);
  const most: number[] = [];
  for (let i = 0; i < 100; i++) {
    const work = [{ seq, tokens: [i % 90] }];
    const r = ok(d.cache.reserve(work));
    d.run(r, work); // throws where a block is gone too soon
    d.cache.commit(r);
    d.check();
    const { open, sealed } = d.cache.stat().blocks;
    most.push(open + sealed);
  }
  // Sinks 1, window over 8 positions 3, at the most.
  assert.equal(Math.max(...most), 4);
  assert.ok(!d.trim(seq, 40), "its blocks are gone");
  assert.ok(d.trim(seq, 99), "the tail is there");
  d.end();
});

Deno.test("KVCache.trim() to nothing lets a window slide anew", async () => {
  const d = await cacheDriver([layoutPlugin(4), windowPlugin(8)]);
  const seq = d.open([]);
  for (let round = 0; round < 2; round++) {
    for (let i = 0; i < 40; i++) d.append([{ seq, tokens: [i] }]);
    d.check();
    assert.ok(d.trim(seq, 0));
  }
  d.end();
});

Deno.test("createCache() keeps `slack` positions for trim()", async () => {
  const d = await cacheDriver([layoutPlugin(4), windowPlugin(8, 3)], {
    slack: 6,
  });
  const seq = d.open([]);
  for (let i = 0; i < 100; i++) d.append([{ seq, tokens: [i % 90] }]);
  assert.ok(d.trim(seq, 94));
  d.append([{ seq, tokens: range(20) }]);
  d.end();
});

Deno.test("KVCache.peakBytes() is what one sequence takes at its largest", async () => {
  for (const chunk of [1, 7, 64, 1500]) {
    const d = await cacheDriver([
      layoutPlugin(512),
      windowPlugin(700, 600, (l) => l.layer === 0),
    ], { layers: 3, budgetBytes: 120_000 });
    const seq = d.open([]);
    for (let i = 0; i < 4000; i += chunk) {
      const r = ok(d.cache.reserve([{ seq, tokens: new Uint8Array(chunk) }]));
      d.cache.commit(r);
    }
    const peaks = d.cache.lines().reduce((sum, l) => sum + l.peak, 0);
    const length = d.cache.length(seq);
    // A step may begin anywhere, which can take a block more than was seen.
    const more = d.cache.peakBytes(length, chunk) - peaks;
    const most = chunk === 1 ? 0 : 4096;
    assert.ok(more >= 0 && more <= most, `chunk ${chunk}: ${more} more`);
  }
});

Deno.test("KVCache evicts idle blocks, the tail of a chain first", async () => {
  const d = await cacheDriver([layoutPlugin(4096), indexPlugin()], {
    budgetBytes: 3 * BLOCK,
    rows: 20_000,
  });
  const prompt = range(3 * 4096).map((t) => t % 97);
  const seq = d.cache.open([]).seq;
  d.cache.commit(ok(d.cache.reserve([{ seq, tokens: prompt }])));
  d.cache.close(seq);
  assert.equal(d.cache.available, 3 * BLOCK);
  const other = d.cache.open([]).seq;
  d.cache.commit(ok(d.cache.reserve([{ seq: other, tokens: [1] }])));
  assert.equal(d.cache.stat().evictions, 1);
  assert.equal(d.cache.open([...prompt, 1]).cached, 2 * 4096);
  d.cache.check();
});

Deno.test("KVCache tells observers what happens to blocks", async () => {
  const events: CacheEvent["type"][] = [];
  const d = await cacheDriver([layoutPlugin(4), indexPlugin(), {
    name: "observer",
    setup: (host) =>
      host.provide("observe", { event: (e) => void events.push(e.type) }),
  }]);
  const a = d.open([]);
  d.append([{ seq: a, tokens: range(6) }]);
  d.append([{ seq: d.fork(a), tokens: [1] }]);
  d.open(range(6));
  d.end();
  assert.deepEqual([...new Set(events)], [
    "miss",
    "seal",
    "fork",
    "copy",
    "hit",
    "release",
    "evict",
  ]);
});

Deno.test("KVCache takes an index that answers wrongly for a miss", async () => {
  const d = await cacheDriver([layoutPlugin(4), {
    name: "liar",
    setup: (host) =>
      host.provide("index", {
        get: () => 1 as never,
        set: () => {},
        delete: () => {},
      }),
  }]);
  assert.equal(d.cache.open(range(40)).cached, 0);
});

Deno.test("KVCache.fill() refuses a batch that is too small", async () => {
  const d = await cacheDriver([layoutPlugin(4)], { rows: 8 });
  const seq = d.open([]);
  const r = ok(d.cache.reserve([{ seq, tokens: range(9) }]));
  assert.throws(() => d.cache.fill(r, d.backend.batch), /room for 8 rows/);
  d.cache.cancel(r);
  d.backend.bind(d.plan.groups, 2);
  const long = ok(d.cache.reserve([{ seq, tokens: range(8) }]));
  d.cache.fill(long, d.backend.batch);
  d.cache.commit(long);
  const longer = ok(d.cache.reserve([{ seq, tokens: [1] }]));
  assert.throws(() => d.cache.fill(longer, d.backend.batch), /2 blocks of/);
});
