import assert from "node:assert/strict";
import { dice } from "../core/testing/cache_driver.ts";
import { memoryTier, tierPlugin } from "../core/testing/memory_tier.ts";
import { cpuOffload } from "../plugins/cpu_offload.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import type { GenerateOptions } from "./options.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

const REQUESTS: readonly GenerateOptions[] = Array.from(
  { length: 6 },
  (_, i) => ({
    tokens: Array.from({ length: 5 + 4 * i }, (_, k) => 2 + (k * k + i) % 6),
    maxTokens: 24,
    ignoreEos: true,
  }),
);

Deno.test("Engine.generate() gives the same tokens when requests are swapped out and back", async () => {
  const alone: unknown[] = [];
  {
    await using engine = await tinyEngine();
    for (const r of REQUESTS) alone.push(await collect(engine.generate(r)));
  }
  for (const how of ["swap", "drop", "auto", "lost"] as const) {
    const tier = memoryTier(1 << 20);
    if (how === "lost") tier.loses = (block) => block % 3 === 0;
    await using engine = await tinyEngine({
      plugins: [pagedAttention({ blockTokens: 8 }), tierPlugin(tier)],
    });
    const roll = dice(3);
    const run = Promise.all(REQUESTS.map((r) => collect(engine.generate(r))));
    let over = false;
    run.finally(() => over = true);
    while (!over) {
      tier.slow = roll(2) === 0;
      const id = `request-${roll(REQUESTS.length)}`;
      engine.scheduler.preempt(id, how === "lost" ? "swap" : how);
      await new Promise((r) => setTimeout(r));
    }
    assert.deepEqual(await run, alone, how);
    const { preempted, swapped, recomputed } = engine.scheduler.stat();
    assert.ok(preempted > 3, `${how}: ${preempted} preemptions`);
    if (how === "swap") assert.deepEqual([swapped, recomputed], [preempted, 0]);
    if (how === "drop") assert.equal(swapped, 0);
    if (how === "lost") assert.ok(swapped > 0 && recomputed > 0);
    assert.equal(engine.cache.stat().tiers[1]!.used, 0);
    assert.equal(tier.blocks.size, 0);
    engine.check();
  }
});

Deno.test("cpuOffload() keeps what requests have computed when memory is short", async () => {
  let base = 0;
  {
    await using engine = await tinyEngine();
    base = engine.memory().tiers.device!.used;
  }
  const alone: unknown[] = [];
  {
    await using engine = await tinyEngine();
    for (const r of REQUESTS) alone.push(await collect(engine.generate(r)));
  }
  const plugins = [
    pagedAttention({ blockTokens: 8 }),
    cpuOffload({ bytes: 1 << 20 }),
  ];
  await using engine = await tinyEngine({ budget: base + 16 * 1024, plugins });
  const run = REQUESTS.map((r) => collect(engine.generate(r)));
  assert.deepEqual(await Promise.all(run), alone);
  const { preempted, swapped, recomputed } = engine.scheduler.stat();
  assert.ok(preempted > 0 && swapped === preempted, `${preempted} ${swapped}`);
  assert.equal(recomputed, 0);
  assert.ok(engine.memory().tiers.cpu!.peak > 0);
});
