import assert from "node:assert/strict";
import { dice } from "../core/testing/cache_driver.ts";
import { memoryTier, tierPlugin } from "../core/testing/memory_tier.ts";
import { cpuOffload } from "../plugins/cpu_offload.ts";
import { kvInt4 } from "../plugins/kv_int4.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { deeper } from "../models/testing/tiny_llama.ts";
import type { Engine } from "./engine.ts";
import type { LoadOptions } from "./options.ts";
import { kvBudget } from "./testing/kv_budget.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

const tokens = Array.from(
  { length: 700 },
  (_, k) => 2 + (k * k + (k >> 3)) % 6,
);
const REQUEST = { tokens, maxTokens: 60, ignoreEos: true };
const { changes, shapes } = deeper(6, 1024);

function engineOf(options: LoadOptions): Promise<Engine> {
  return tinyEngine({ context: 1024, ...options }, changes, shapes);
}

/** A budget that leaves `bytes` for K and V. */
function budgetFor(bytes: number, options: LoadOptions): Promise<number> {
  return kvBudget(bytes, (budget) => engineOf({ ...options, budget }));
}

Deno.test("Engine.generate() gives the same tokens when most of the context stays in host memory", async () => {
  for (
    const [codec, part] of [[[], 1 / 5], [[kvInt8()], 1 / 3], [
      [kvInt4()],
      0.45,
    ]] as const
  ) {
    const paged = [
      pagedAttention({ blockTokens: 64 }),
      prefixCache(),
      ...codec,
    ];
    const plugins = [...paged, cpuOffload({ bytes: 1 << 24 })];
    for (const chunk of [64, 8]) {
      const unlimited = { plugins, chunk, budget: 1 << 24 };
      let wanted: unknown, bytes = 0;
      {
        await using engine = await engineOf(unlimited);
        wanted = await collect(engine.generate(REQUEST));
        bytes = engine.cache.peakBytes(760, 1);
        assert.equal(engine.memory().tiers.cpu!.peak, 0);
      }
      const budget = await budgetFor(Math.ceil(bytes * part), unlimited);
      const options = { ...unlimited, budget };
      await using engine = await engineOf(options);
      assert.deepEqual(await collect(engine.generate(REQUEST)), wanted);
      assert.ok(engine.memory().tiers.cpu!.peak > 0);
      engine.check();
    }
  }
});

Deno.test("Engine.generate() computes again what a tier loses of a context, and ends", async () => {
  const paged = [pagedAttention({ blockTokens: 64 })];
  const unlimited = { plugins: paged, chunk: 64, budget: 1 << 24 };
  let wanted: unknown, bytes = 0;
  {
    await using engine = await engineOf(unlimited);
    wanted = await collect(engine.generate(REQUEST));
    bytes = engine.cache.peakBytes(760, 1);
  }
  const sized = {
    ...unlimited,
    plugins: [...paged, cpuOffload({ bytes: 1e7 })],
  };
  const budget = await budgetFor(Math.ceil(bytes / 4), sized);
  for (const slow of [false, true]) {
    const roll = dice(5);
    const tier = memoryTier(1 << 24);
    tier.slow = slow;
    let faults = 0, dead = false;
    tier.slice = (block, at, out) => {
      const lost = dead || (faults < 20 && roll(150) === 0);
      if (lost) faults++;
      const whole = tier.blocks.get(block);
      if (!lost && whole !== undefined) {
        out.set(whole.subarray(at, at + out.length));
      } else out.fill(255);
      const found = lost || whole === undefined ? "lost" : "ok";
      return slow ? Promise.resolve().then(() => found) : found;
    };
    const plugins = [...paged, tierPlugin(tier)];
    await using engine = await engineOf({ ...sized, plugins, budget });
    assert.deepEqual(await collect(engine.generate(REQUEST)), wanted);
    assert.ok(faults > 10, `${faults} faults`);
    assert.ok(engine.scheduler.stat().recomputed > 0);
    assert.equal(tier.blocks.size, 0);
    // One that always loses is given up, with a reason.
    dead = true;
    await assert.rejects(
      () => collect(engine.generate(REQUEST)),
      /tiers have lost what it left there \d+ times/,
    );
    engine.check();
    const short = { ...REQUEST, tokens: tokens.slice(0, 40), maxTokens: 4 };
    assert.equal((await collect(engine.generate(short))).tokens.length, 4);
  }
});

Deno.test("Engine.generate() runs short requests beside one that spills, and all get their tokens", async () => {
  const paged = [pagedAttention({ blockTokens: 64 }), prefixCache()];
  const requests = [
    REQUEST,
    { ...REQUEST, tokens: tokens.slice(3, 80), maxTokens: 30 },
    { ...REQUEST, tokens: tokens.slice(1), maxTokens: 20 },
    { ...REQUEST, tokens: tokens.slice(9, 300), maxTokens: 30 },
  ];
  const unlimited = {
    plugins: [...paged, cpuOffload({ bytes: 1e7 })],
    chunk: 64,
    budget: 1 << 24,
  };
  const wanted: unknown[] = [];
  let bytes = 0;
  {
    await using engine = await engineOf(unlimited);
    for (const r of requests) wanted.push(await collect(engine.generate(r)));
    bytes = engine.cache.peakBytes(760, 1);
  }
  const budget = await budgetFor(Math.ceil(bytes / 3), unlimited);
  await using engine = await engineOf({ ...unlimited, budget });
  const run = requests.map((r) => collect(engine.generate(r)));
  assert.deepEqual(await Promise.all(run), wanted);
});

Deno.test("Engine closes while a step reads from a tier that never answers", async () => {
  const paged = [pagedAttention({ blockTokens: 64 })];
  const sized = {
    plugins: [...paged, cpuOffload({ bytes: 1e7 })],
    chunk: 64,
    budget: 1 << 24,
  };
  const budget = await budgetFor(60_000, sized);
  const tier = memoryTier(1 << 24);
  const asked = Promise.withResolvers<void>();
  const hanging = Promise.withResolvers<"lost">();
  tier.slice = () => {
    asked.resolve();
    return hanging.promise;
  };
  const engine = await engineOf({
    ...sized,
    plugins: [...paged, tierPlugin(tier)],
    budget,
  });
  const run = assert.rejects(() => collect(engine.generate(REQUEST)));
  await asked.promise;
  const closed = engine[Symbol.asyncDispose]();
  hanging.resolve("lost");
  await closed;
  await run;
});
