import assert from "node:assert/strict";
import { fakeGenerate } from "./testing/fake_backend.ts";
import { codecPlugin, fakeCodec } from "./testing/fake_codec.ts";
import { layoutPlugin } from "./testing/fake_plan.ts";
import { schedulerDriver } from "./testing/scheduler_driver.ts";

// Steps of more rows than a batch: a batch has 8 rows here.

function text(length: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => (i * i + seed) % 97);
}

const PROMPTS = [text(3, 1), text(4, 2), text(30, 3), text(1, 4), text(9, 5)];

function driver(options: { sweepRows?: number; budgetBytes?: number } = {}) {
  return schedulerDriver([
    layoutPlugin(4),
    codecPlugin(fakeCodec({ id: "fused", lossy: true })),
  ], { rows: 8, seqs: 8, sweepRows: 64, fused: ["fused"], ...options });
}

Deno.test("Scheduler plans prompts of more rows than a batch as one step, where it may", async () => {
  for (const sweepRows of [64, 24, 8, undefined]) {
    const d = await driver({ ...sweepRows === undefined ? {} : { sweepRows } });
    for (const [i, prompt] of PROMPTS.entries()) {
      d.scheduler.add({ id: `${i}`, prompt, maxTokens: 6 });
    }
    d.drain();
    for (const [i, prompt] of PROMPTS.entries()) {
      const wanted = fakeGenerate(d.plan, prompt, 6);
      assert.deepEqual(d.finished.get(`${i}`)!.tokens, wanted, `${i}`);
      assert.deepEqual(d.rows.get(`${i}`)![0], prompt.length - 1);
    }
    assert.equal(d.sweeps > 0, sweepRows !== 8);
    d.cache.check();
  }
});

Deno.test("Scheduler computes prompts in batches while others decode, want all logits, or room is short", async () => {
  const all = await driver();
  all.scheduler.add({
    id: "all",
    prompt: text(30, 1),
    maxTokens: 1,
    logits: "all",
  });
  all.drain();
  assert.equal(all.sweeps, 0);
  const busy = await driver();
  busy.scheduler.add({ id: "first", prompt: [1], maxTokens: 40 });
  busy.step();
  busy.scheduler.add({ id: "second", prompt: text(30, 2), maxTokens: 2 });
  while (!busy.finished.has("second")) busy.step();
  assert.equal(busy.sweeps, 0);
  busy.drain();
  // Blocks of a step have an open place and a sealed one until it is over.
  const short = await driver({ budgetBytes: 8 * 64 });
  const prompt = text(40, 6);
  assert.equal(
    short.scheduler.add({ id: "long", prompt, maxTokens: 4 }),
    undefined,
  );
  short.drain();
  assert.equal(short.sweeps, 0);
  assert.deepEqual(
    short.finished.get("long")!.tokens,
    fakeGenerate(short.plan, prompt, 4),
  );
});
