import assert from "node:assert/strict";
import type { Plugin } from "./plugin.ts";
import { type CacheDriver, cacheDriver, dice } from "./testing/cache_driver.ts";
import {
  codecPlugin,
  fakeCodec,
  type FakeCodecOptions,
} from "./testing/fake_codec.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import { schedulerDriver } from "./testing/scheduler_driver.ts";
import type { GenRequest } from "./scheduler_types.ts";
import { fakeGenerate } from "./testing/fake_backend.ts";

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

/** Blocks of 4 positions in 2 layers: 64 bytes open, 32 sealed. */
const OPEN = 64, SEALED = 32;

/** A cache whose full blocks are sealed by a lossy codec. */
async function sealed(
  more: readonly Plugin[] = [],
  options: Parameters<typeof cacheDriver>[1] = {},
  codec: FakeCodecOptions = {},
): Promise<CacheDriver> {
  return await cacheDriver(
    [
      layoutPlugin(4),
      codecPlugin(fakeCodec({ lossy: true, ...codec })),
      ...more,
    ],
    { fused: ["fake"], ...options },
  );
}

/** Bytes held open and sealed. */
function held(d: CacheDriver): readonly [number, number] {
  const bytes = new Map(d.cache.lines().map((l) => [l.component, l.bytes]));
  return [bytes.get("group 0 open")!, bytes.get("group 0")!];
}

Deno.test("KVCache holds full blocks sealed, the last one open", async () => {
  const d = await sealed();
  const seq = d.open([]);
  for (let n = 1; n <= 13; n++) {
    assert.ok(d.append([{ seq, tokens: [n] }]));
    d.check();
    const full = Math.floor(n / 4);
    assert.deepEqual(held(d), [n % 4 === 0 ? 0 : OPEN, full * SEALED]);
  }
  d.end();
});

Deno.test("KVCache keeps the first blocks open where the codec says so", async () => {
  const d = await sealed([], {}, { keepFirst: 2 });
  const seq = d.open([]);
  assert.ok(d.append([{ seq, tokens: range(17) }]));
  assert.deepEqual(held(d), [3 * OPEN, 2 * SEALED]);
  d.check();
  assert.ok(d.trim(seq, 5), "the second block is as it was computed");
  assert.ok(d.append([{ seq, tokens: range(20, 40) }]));
  d.check();
  d.end();
});

Deno.test("KVCache with sealed blocks gives the same rows however a prompt is cut", async () => {
  for (const keepFirst of [0, 1]) {
    const d = await sealed(
      [windowPlugin(7, 2, (l) => l.layer === 1)],
      {},
      { keepFirst },
    );
    // The driver compares every row with the oracle, which knows no steps.
    for (const chunk of [1, 2, 3, 4, 5, 11, 30]) {
      const seq = d.open([]);
      for (let from = 0; from < 30; from += chunk) {
        const to = Math.min(30, from + chunk);
        assert.ok(d.append([{ seq, tokens: range(30, 17), from, to }]));
        d.check();
      }
    }
    d.end();
  }
});

Deno.test("KVCache.reserve() takes sealed places with the open ones, all or none", async () => {
  const d = await sealed([], { budgetBytes: 3 * OPEN + SEALED });
  const a = d.open([]), b = d.open([]);
  assert.ok(d.append([{ seq: a, tokens: range(3) }]));
  assert.ok(d.append([{ seq: b, tokens: range(3) }]));
  // Both fill a block: two sealed places in what is left for three, less one open.
  const before = held(d);
  const short = d.cache.reserve([
    { seq: a, tokens: range(2) },
    { seq: b, tokens: range(1) },
  ]);
  assert.deepEqual(short, { ok: false, blocks: 1, bytes: SEALED });
  assert.deepEqual(held(d), before);
  d.check();
  const r = d.cache.reserve([{ seq: a, tokens: [1] }, { seq: b, tokens: [1] }]);
  assert.ok(r.ok);
  assert.deepEqual(held(d), [2 * OPEN, 2 * SEALED]);
  d.check();
  d.cache.cancel(r);
  assert.deepEqual(held(d), before);
  d.check();
  assert.ok(d.append([{ seq: a, tokens: [1] }]));
  assert.deepEqual(held(d), [OPEN, SEALED]);
  d.end();
});

Deno.test("KVCache.reserve() gives sealed places back where the heap has no room", async () => {
  // The device has less than the budget.
  const d = await sealed([], {
    bytes: 16 + 2 * OPEN + SEALED,
    budgetBytes: 1 << 12,
  });
  const a = d.open([]), b = d.open([]);
  assert.ok(d.append([{ seq: a, tokens: range(3) }]));
  assert.ok(d.append([{ seq: b, tokens: range(3) }]));
  const before = held(d);
  const work = [{ seq: a, tokens: [1] }, { seq: b, tokens: [1] }];
  assert.equal(d.cache.reserve(work).ok, false);
  assert.deepEqual(held(d), before);
  d.check();
  assert.ok(d.append([work[0]!]));
  assert.ok(d.append([work[1]!]));
  d.end();
});

Deno.test("KVCache.commit() leaves a block open that wrong guesses filled", async () => {
  const d = await sealed();
  const seq = d.open([]);
  assert.ok(d.append([{ seq, tokens: range(2) }]));
  // Positions 2 to 9: two blocks are filled, one position of the first stays.
  assert.ok(d.append([{ seq, tokens: range(8, 20) }], [1]));
  d.check();
  assert.deepEqual(held(d), [OPEN, 0]);
  // Now three: the first is filled by what is right.
  assert.ok(d.append([{ seq, tokens: range(8, 30) }], [3]));
  d.check();
  assert.deepEqual(held(d), [OPEN, SEALED]);
  assert.ok(d.append([{ seq, tokens: range(9) }]));
  d.end();
});

Deno.test("KVCache refuses to trim and to fork within a block that was sealed", async () => {
  const d = await sealed();
  const seq = d.open([]);
  assert.ok(d.append([{ seq, tokens: range(10) }]));
  for (const length of [1, 3, 5, 7]) {
    assert.equal(d.cache.canFork(seq, length), false, `${length}`);
    assert.throws(() => d.cache.fork(seq, length), RangeError);
    assert.throws(
      () => d.cache.trim(seq, length),
      new RegExp(`sealed by codec "fake".*trim it to ${length & ~3}`),
    );
    assert.equal(d.cache.forkLength(seq, length), length & ~3);
  }
  for (const length of [0, 4, 8, 9, 10]) {
    assert.ok(d.cache.canFork(seq, length), `${length}`);
    assert.equal(d.cache.forkLength(seq, length), length);
  }
  assert.equal(d.cache.forkLength(seq, 99), 10);
  const made = d.fork(seq, 9);
  assert.ok(d.append([{ seq: made, tokens: range(9, 50) }]));
  assert.ok(d.trim(seq, 9) && d.trim(seq, 8) && d.trim(seq, 4));
  assert.ok(d.append([{ seq, tokens: range(9, 70) }]));
  d.check();
  d.end();
});

Deno.test("KVCache.forkLength() ends where no group is within a sealed block", async () => {
  const codec = codecPlugin(fakeCodec({ lossy: true }));
  const d = await cacheDriver([
    layoutPlugin(4, (l) => l.layer === 0),
    layoutPlugin(6, (l) => l.layer > 0),
    codec,
  ], { fused: ["fake"] });
  const seq = d.open([]);
  assert.ok(d.append([{ seq, tokens: range(30) }]));
  // Blocks of 4 and of 6 both begin at multiples of 12; the last of 4 is open.
  assert.deepEqual(
    [5, 11, 12, 23, 24, 27, 28, 29, 30].map((n) => d.cache.forkLength(seq, n)),
    [0, 0, 12, 12, 24, 24, 24, 24, 30],
  );
  const windowed = await sealed([windowPlugin(3)]);
  const other = windowed.open([]);
  for (let i = 0; i < 30; i++) {
    assert.ok(windowed.append([{ seq: other, tokens: [i] }]));
  }
  assert.equal(windowed.cache.forkLength(other, 15), 0, "all is released");
  assert.equal(windowed.cache.forkLength(other, 30), 30);
});

Deno.test("KVCache.fork() shares sealed blocks and copies the open one", async () => {
  const d = await sealed();
  const a = d.open([]);
  assert.ok(d.append([{ seq: a, tokens: range(10) }]));
  const b = d.fork(a);
  assert.deepEqual(held(d), [OPEN, 2 * SEALED]);
  assert.ok(
    d.append([{ seq: a, tokens: [60, 61] }, { seq: b, tokens: [70, 71] }]),
  );
  assert.equal(d.cache.stat().copies, 1);
  assert.deepEqual(held(d), [0, 4 * SEALED]);
  d.check();
  assert.ok(d.append([{ seq: a, tokens: [1] }, { seq: b, tokens: [2] }]));
  d.end();
});

Deno.test("KVCache.open() finds sealed blocks, and a hit reads as if it were cold", async () => {
  for (const keepFirst of [0, 1]) {
    const d = await sealed([indexPlugin()], {}, { keepFirst });
    const prompt = range(18);
    const a = d.open(prompt);
    assert.ok(d.append([{ seq: a, tokens: prompt }]));
    d.close(a);
    const { idle } = d.cache.stat().blocks;
    assert.equal(idle, 4);
    const b = d.open(prompt);
    assert.equal(d.truth.get(b)!.length, 16);
    assert.ok(d.append([{ seq: b, tokens: [16, 17, 50, 51] }]));
    d.check();
    d.end();
  }
});

Deno.test("KVCache.available counts idle blocks by the bytes they have", async () => {
  const d = await sealed([indexPlugin()], { budgetBytes: 10 * OPEN }, {
    keepFirst: 1,
  });
  const a = d.open([]);
  assert.ok(d.append([{ seq: a, tokens: range(18) }]));
  const used = OPEN + 3 * SEALED + OPEN;
  assert.equal(d.cache.available, 10 * OPEN - used);
  d.close(a);
  assert.equal(d.cache.available, 10 * OPEN);
  assert.equal(d.cache.stat().tiers[0]!.used, used - OPEN);
  // All of it can be had: idle blocks go for it.
  const b = d.open([]);
  for (let i = 0; i < 3; i++) {
    assert.ok(d.append([{ seq: b, tokens: range(12, 50) }]));
  }
  assert.ok(d.cache.stat().evictions > 0);
  d.end();
});

Deno.test("CacheStat.unused is what open blocks have left", async () => {
  const d = await sealed();
  const seq = d.open([]);
  for (const [n, unused] of [[1, 48], [2, 32], [3, 16], [4, 0], [5, 48]]) {
    assert.ok(d.append([{ seq, tokens: [n!] }]));
    assert.equal(d.cache.stat().unused, unused);
  }
  assert.ok(d.append([{ seq, tokens: [6, 7] }]));
  const r = d.cache.reserve([{ seq, tokens: [8] }]);
  assert.ok(r.ok);
  assert.equal(d.cache.stat().unused, 16 + SEALED, "a place that is promised");
  d.cache.cancel(r);
  d.end();
});

Deno.test("KVCache.peakBytes() is what a sequence of sealed blocks takes at its largest", async () => {
  const roll = dice(5);
  for (const keepFirst of [0, 1, 3]) {
    for (
      const window of [[], [windowPlugin(9)], [windowPlugin(9, 6)], [
        windowPlugin(7, 2, (l) => l.layer === 0),
      ]]
    ) {
      for (const chunk of [1, 3, 4, 9, 50]) {
        const d = await sealed(window, { rows: 64 }, { keepFirst });
        const seq = d.open([]);
        let most = 0;
        while (d.cache.length(seq) < 50) {
          const n = Math.min(
            chunk === 1 ? 1 : 1 + roll(chunk),
            50 - d.cache.length(seq),
          );
          const work = [{ seq, tokens: range(n) }];
          const r = d.cache.reserve(work);
          assert.ok(r.ok);
          most = Math.max(most, d.cache.stat().tiers[0]!.used);
          d.run(r, work);
          d.cache.commit(r);
          const peak = d.cache.peakBytes(d.cache.length(seq), chunk);
          assert.ok(most <= peak, `${most} bytes, at most ${peak}`);
        }
        // One by one it is exact, so that what fits is let in.
        if (chunk === 1 && d.plan.groups.length === 1) {
          assert.equal(d.cache.peakBytes(50, 1), most);
        }
        d.end();
      }
    }
  }
});

Deno.test("KVCache.forkedBytes() is what forks of sealed blocks take together", async () => {
  for (const keepFirst of [0, 2]) {
    for (
      const [shared, copies] of [[20, 1], [20, 3], [18, 5], [3, 2]] as const
    ) {
      const d = await sealed([], { budgetBytes: 1 << 13 }, { keepFirst });
      const bytes = d.cache.forkedBytes(40, shared, copies);
      const first = d.open([]);
      for (let i = 0; i < shared; i++) d.append([{ seq: first, tokens: [i] }]);
      const all = [first];
      while (all.length < copies) all.push(d.fork(first));
      let most = 0;
      for (let i = shared; i < 40; i++) {
        const work = all.map((seq, k) => ({ seq, tokens: [i + k] }));
        const r = d.cache.reserve(work);
        assert.ok(r.ok);
        most = Math.max(most, d.cache.stat().tiers[0]!.used);
        d.run(r, work);
        d.cache.commit(r);
      }
      assert.equal(most, bytes);
      d.end();
    }
  }
});

Deno.test("KVCache.growthBytes() is what the next block of a sequence takes more", async () => {
  const d = await sealed([], {}, { keepFirst: 1 });
  const { cache } = d;
  const growth = (length: number) => cache.growthBytes(length, 40);
  // Kept: the next block beside it. Later the open place is there again.
  assert.deepEqual([0, 1, 3].map(growth), Array(3).fill(OPEN));
  assert.deepEqual([4, 8].map(growth), [OPEN + SEALED, OPEN + SEALED]);
  assert.deepEqual([5, 7, 39].map(growth), Array(3).fill(SEALED));
  assert.equal(cache.growthBytes(36, 38), OPEN);
  assert.equal(cache.growthBytes(37, 39), 0);
});

Deno.test("Scheduler finishes what fits just so with sealed blocks, in a device without room to spare", async () => {
  for (const keepFirst of [0, 1]) {
    const plugins = [
      layoutPlugin(4),
      indexPlugin(),
      codecPlugin(fakeCodec({ lossy: true, keepFirst })),
    ];
    const fused = ["fake"];
    const probe = await schedulerDriver(plugins, { fused });
    const budgetBytes = probe.cache.peakBytes(40, 1);
    const d = await schedulerDriver(plugins, {
      fused,
      budgetBytes,
      bytes: budgetBytes + 16,
      rows: 32,
    });
    const all: GenRequest[] = [];
    for (let i = 0; i < 20; i++) {
      const prompt = range(30 - i, i);
      const r = { id: `r${i}`, prompt, maxTokens: 11 };
      assert.equal(d.scheduler.add(r), undefined);
      all.push(r);
    }
    const large = { id: "large", prompt: range(34), maxTokens: 11 };
    assert.equal(d.scheduler.add(large)?.ok, false);
    d.drain();
    for (const { id, prompt } of all) {
      const f = d.finished.get(id)!;
      assert.equal(f.reason, "length", f.error?.message);
      assert.deepEqual(f.tokens, fakeGenerate(d.plan, prompt, 11), id);
    }
    d.cache.evictIdle();
    d.cache.check();
    assert.equal(d.backend.memory.stat().used, 0);
  }
});

Deno.test("Scheduler begins a sibling at the block's start where the prompt's end was sealed", async () => {
  const d = await schedulerDriver([
    layoutPlugin(4),
    codecPlugin(fakeCodec({ lossy: true })),
  ], { fused: ["fake"] });
  const a = { id: "a", prompt: range(23), maxTokens: 12 };
  const b = { id: "b", prompt: range(23), maxTokens: 5, sharesWith: "a" };
  d.scheduler.add(a);
  for (let i = 0; i < 6; i++) d.step();
  d.scheduler.add(b);
  d.drain();
  for (const { id, prompt, maxTokens } of [a, b]) {
    const { tokens } = d.finished.get(id)!;
    assert.deepEqual(tokens, fakeGenerate(d.plan, prompt, maxTokens), id);
  }
  assert.equal(d.finished.get("b")!.cached, 20);
});
