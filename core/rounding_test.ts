import assert from "node:assert/strict";
import type { Plugin } from "./plugin.ts";
import { createCache } from "./cache.ts";
import { stepEnd } from "./step_end.ts";
import { type CacheDriver, cacheDriver } from "./testing/cache_driver.ts";
import { fakeGenerate } from "./testing/fake_backend.ts";
import { codecPlugin, fakeCodec } from "./testing/fake_codec.ts";
import { fakePlan, indexPlugin, layoutPlugin } from "./testing/fake_plan.ts";
import { schedulerDriver } from "./testing/scheduler_driver.ts";
import { ToyDrafter } from "./testing/toys.ts";

function range(n: number, from = 0): number[] {
  return Array.from({ length: n }, (_, i) => from + i);
}

/** A lossy codec that no kernel reads. */
function plugins(keepFirst = 0): readonly Plugin[] {
  return [
    layoutPlugin(4),
    indexPlugin(),
    codecPlugin(fakeCodec({ lossy: true, keepFirst })),
  ];
}

/** Steps of up to `chunk` that end where they have to. */
function fill(d: CacheDriver, tokens: readonly number[], chunk: number): void {
  const seq = d.open([]);
  for (let from = 0; from < tokens.length;) {
    const to = Math.min(tokens.length, from + chunk, (from & ~3) + 4);
    assert.ok(d.append([{ seq, tokens, from, to }]));
    d.check();
    from = to;
  }
}

Deno.test("stepEnd() is the next block's end of any size", () => {
  assert.equal(stepEnd(5, []), Infinity);
  const ends = [0, 1, 3, 4, 5, 6, 11].map((at) => stepEnd(at, [4, 6]));
  assert.deepEqual(ends, [4, 4, 4, 6, 6, 8, 12]);
});

Deno.test("KVCache without a kernel for a codec gives what the codec gives, in the room of open blocks", async () => {
  for (const keepFirst of [0, 1, 9]) {
    const d = await cacheDriver(plugins(keepFirst));
    for (const chunk of [1, 3, 4]) fill(d, range(30, 17), chunk);
    const { used } = d.cache.stat().tiers[0]!;
    assert.equal(used % 64, 0);
    assert.equal(d.cache.lines().length, 1);
    d.end();
  }
});

Deno.test("KVCache.reserve() refuses a step that goes on behind a block that is to be rounded", async () => {
  const d = await cacheDriver(plugins());
  const seq = d.open([]);
  assert.throws(
    () => d.cache.reserve([{ seq, tokens: range(5) }]),
    /5 positions for sequence 1 from 0.*end the step at 4/,
  );
  d.check();
  assert.ok(d.append([{ seq, tokens: range(3) }]));
  assert.throws(() => d.cache.reserve([{ seq, tokens: [1, 2] }]), RangeError);
  assert.ok(d.append([{ seq, tokens: [1] }]));
  d.end();
});

Deno.test("KVCache.open() finds rounded blocks, and nobody writes on them", async () => {
  const d = await cacheDriver(plugins(1));
  fill(d, range(14, 31), 4);
  const seq = d.open(range(14, 31));
  assert.equal(d.truth.get(seq)!.length, 12);
  assert.ok(d.append([{ seq, tokens: range(2, 43) }]));
  assert.throws(() => d.cache.trim(seq, 9), /sealed by codec "fake"/);
  assert.equal(d.cache.canFork(seq, 7), false);
  assert.equal(d.cache.forkLength(seq, 7), 4);
  assert.ok(d.trim(seq, 3), "the first block is kept");
  assert.ok(d.append([{ seq, tokens: [9] }]));
  d.end();
});

Deno.test("KVCache.commit() rounds no block that wrong guesses filled", async () => {
  const d = await cacheDriver(plugins());
  const seq = d.open([]);
  assert.ok(d.append([{ seq, tokens: range(4, 51) }], [3]));
  d.check();
  assert.ok(d.append([{ seq, tokens: [57] }]));
  assert.ok(d.append([{ seq, tokens: [59] }]));
  d.end();
});

Deno.test("Scheduler ends steps at blocks that are to be rounded, guesses too", async () => {
  const drafter = new ToyDrafter(6, 4);
  const d = await schedulerDriver([
    layoutPlugin(4, (l) => l.layer === 0),
    layoutPlugin(6, (l) => l.layer > 0),
    codecPlugin(fakeCodec({ lossy: true })),
    drafter.plugin,
  ], { rows: 32 });
  assert.deepEqual(d.plan.stepTokens, [4, 6]);
  drafter.learn(d.plan);
  const all = [19, 5].map((n, i) => ({
    id: `r${i}`,
    prompt: range(n, i),
    maxTokens: 30,
  }));
  for (const r of all) d.scheduler.add(r);
  let guesses = 0;
  for (;;) {
    const plan = d.scheduler.step();
    if (plan === undefined) break;
    for (let i = 0; i < plan.count; i++) {
      const { start, rows, drafts } = plan.entries[i]!;
      assert.ok(start + rows <= stepEnd(start, [4, 6]), `${start} + ${rows}`);
      guesses += drafts;
    }
    d.run(plan);
    d.keep(d.scheduler.done(plan));
    d.cache.check();
  }
  assert.ok(guesses > 20);
  for (const { id, prompt, maxTokens } of all) {
    const wanted = fakeGenerate(d.plan, prompt, maxTokens);
    assert.deepEqual(d.finished.get(id)!.tokens, wanted);
  }
});

Deno.test("createCache() refuses a codec that nobody can apply", async () => {
  const { plan, backend: { memory } } = await fakePlan(plugins());
  assert.throws(
    () => createCache({ plan, memory, budgetBytes: 1 << 12 }),
    /codec "fake": no kernel of backend "reference" reads it.*"openBlocks"/,
  );
});
