import assert from "node:assert/strict";
import { compilePlan } from "../core/plan.ts";
import { visible } from "../core/ranges.ts";
import type { ModelShape } from "../core/types.ts";
import { cacheDriver } from "../core/testing/cache_driver.ts";
import { FakeBackend } from "../core/testing/fake_backend.ts";
import { fakeModel, fakePlan } from "../core/testing/fake_plan.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { retentionSuite } from "../core/testing/suites/retention_suite.ts";
import { pagedAttention } from "./paged_attention.ts";
import { prefixCache } from "./prefix_cache.ts";
import { slidingWindow, windowRetention } from "./sliding_window.ts";

for (
  const options of [
    { window: 1 },
    { window: 7 },
    { window: 16, sinks: 1 },
    { window: 9, sinks: 9 },
    { window: 1020, sinks: 4, reach: 2048 },
  ]
) {
  retentionSuite(
    `slidingWindow(${JSON.stringify(options)})`,
    () => provided(slidingWindow(options), "retention"),
  );
}

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => (from + i) % 90);
}

/** Positions a query sees, one by one. */
function seen(window: number, sinks: number, query: number): number[] {
  return visible([windowRetention(window, sinks)], query).flatMap((r) =>
    Array.from({ length: r.end - r.start }, (_, i) => r.start + i)
  );
}

Deno.test("windowRetention() sees the query, what is less than a window before it, and the sinks", () => {
  for (const [window, sinks] of [[1, 0], [1, 1], [4, 0], [4, 3], [7, 7]]) {
    for (let q = 0; q < 40; q++) {
      const wanted = Array.from({ length: q + 1 }, (_, p) => p)
        .filter((p) => q - p < window! || p < sinks!);
      assert.deepEqual(seen(window!, sinks!, q), wanted, `${window} ${sinks}`);
    }
  }
});

Deno.test("slidingWindow() refuses a window of nothing, too many sinks and a reach within the window", () => {
  for (const window of [0, -1, 2.5, NaN, Infinity]) {
    assert.throws(
      () => slidingWindow({ window }),
      (e: unknown) =>
        e instanceof RangeError && e.message.includes(`"window" ${window}`),
    );
  }
  for (const sinks of [9, -1, 0.5, NaN]) {
    assert.throws(
      () => slidingWindow({ window: 8, sinks }),
      (e: unknown) =>
        e instanceof RangeError && e.message.includes(`"sinks" ${sinks}`) &&
        e.message.includes("from 0 to 8"),
    );
  }
  for (const reach of [8, 0, 10.5, NaN]) {
    assert.throws(
      () => slidingWindow({ window: 8, sinks: 2, reach }),
      /"reach" .* above the window of 8/,
    );
  }
  slidingWindow({ window: 8, sinks: 8, reach: 9 });
});

Deno.test("slidingWindow() with sinks keeps to what the model was trained for, unless told otherwise", async () => {
  const model: ModelShape = { ...fakeModel(2), context: 300 };
  const reach = async (options: Parameters<typeof slidingWindow>[0]) => {
    const plugins = [slidingWindow(options)];
    const backend = new FakeBackend();
    const { plan } = await compilePlan({ model, backend, plugins });
    return plan.groups[0]!.sight;
  };
  const own = await reach({ window: 20, sinks: 4 });
  assert.equal(own.reach, 300);
  assert.deepEqual([299, 300, 1000].map((q) => own.back(q)), [0, 1, 701]);
  assert.equal((await reach({ window: 20, sinks: 4, reach: 90 })).reach, 90);
  assert.equal((await reach({ window: 20 })).reach, Infinity, "no sinks");
});

Deno.test("slidingWindow() holds for the layers it names, and narrows what they have", async () => {
  const { plan } = await fakePlan([
    slidingWindow({ window: 30 }),
    slidingWindow({ window: 8, sinks: 2, layers: (l) => l.layer === 1 }),
  ], { layers: 3 });
  assert.deepEqual(plan.groups.map((g) => g.layers), [[0, 2], [1]]);
  const at = plan.groups.map((g) => [g.sight.start(99), g.sight.sink(99)]);
  // The sinks are outside of the window of 30, so nobody sees them.
  assert.deepEqual(at, [[70, 0], [92, 0]]);
});

Deno.test("slidingWindow() of one size twice is one plugin twice", async () => {
  await assert.rejects(
    () =>
      fakePlan([slidingWindow({ window: 8 }), slidingWindow({ window: 8 })]),
    /"sliding-window-8" is registered twice/,
  );
});

Deno.test("slidingWindow() keeps window, sinks and one block, however long a sequence becomes", async () => {
  for (
    const [window, sinks, blockTokens] of [[20, 5, 4], [7, 0, 3], [1, 1, 2]]
  ) {
    const d = await cacheDriver([
      pagedAttention({ blockTokens: blockTokens! }),
      slidingWindow({ window: window!, sinks: sinks! }),
    ]);
    const seq = d.open([]);
    let most = 0;
    for (let i = 0; i < 300; i++) {
      d.append([{ seq, tokens: [i % 90] }]);
      d.cache.check();
      const { open, sealed } = d.cache.stat().blocks;
      most = Math.max(most, open + sealed);
    }
    const bound = Math.ceil(sinks! / blockTokens!) +
      Math.ceil(window! / blockTokens!) + 1;
    assert.ok(most <= bound, `${most} blocks, at most ${bound}`);
    d.end();
  }
});

Deno.test("slidingWindow() and prefixCache(): a prompt finds what its windows still see", async () => {
  const d = await cacheDriver([
    pagedAttention({ blockTokens: 4 }),
    prefixCache(),
    slidingWindow({ window: 10, sinks: 3, layers: (l) => l.layer === 1 }),
  ]);
  const prompt = range(60);
  const a = d.open(prompt);
  for (let i = 0; i < 60; i += 5) {
    d.append([{ seq: a, tokens: prompt, from: i, to: i + 5 }]);
  }
  const b = d.open(prompt);
  assert.equal(d.truth.get(b)!.length, 56);
  d.append([{ seq: b, tokens: range(9, 40) }]);
  d.check();
  d.end();
});

Deno.test("slidingWindow() of two sizes: sinks that were out of sight are kept again behind a trim or a fork", async () => {
  const d = await cacheDriver([
    pagedAttention({ blockTokens: 2 }),
    slidingWindow({ window: 12 }),
    slidingWindow({ window: 6, sinks: 3 }),
  ]);
  const a = d.open([]);
  for (let i = 0; i < 40; i++) d.append([{ seq: a, tokens: [i] }]);
  const b = d.fork(a, 0);
  assert.ok(d.trim(a, 0));
  for (const seq of [a, b]) {
    for (let i = 0; i < 30; i++) {
      d.append([{ seq, tokens: [50 + i] }]);
      d.check();
    }
  }
  d.end();
});

Deno.test("slidingWindow() and prefixCache(): what no query sees may be gone, and the prompt is found", async () => {
  const d = await cacheDriver([
    pagedAttention({ blockTokens: 4 }),
    prefixCache(),
    slidingWindow({ window: 10, sinks: 3 }),
  ]);
  const prompt = range(60);
  const a = d.open(prompt);
  for (let i = 0; i < 56; i += 4) {
    d.append([{ seq: a, tokens: prompt, from: i, to: i + 4 }]);
  }
  d.cache.evictIdle();
  assert.ok(d.cache.stat().evictions > 8, "the middle is gone");
  const b = d.open(prompt);
  assert.equal(d.truth.get(b)!.length, 56);
  assert.deepEqual(d.cache.open(prompt.slice(0, 40)).miss, {
    reason: "evicted",
    position: 4,
    block: 1,
    group: 0,
  });
  d.append([{ seq: b, tokens: range(9, 40) }]);
  d.check();
});
