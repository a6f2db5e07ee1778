import assert from "node:assert/strict";
import type { GenRequest } from "./scheduler_types.ts";
import { fakeGenerate } from "./testing/fake_backend.ts";
import {
  indexPlugin,
  layoutPlugin,
  windowPlugin,
} from "./testing/fake_plan.ts";
import {
  type SchedulerDriver,
  schedulerDriver,
  type SchedulerDriverOptions,
} from "./testing/scheduler_driver.ts";
import { ToyDrafter } from "./testing/toys.ts";

function request(id: string, length: number, maxTokens: number): GenRequest {
  const prompt = Array.from({ length }, (_, i) => (i * i + length) % 90);
  return { id, prompt, maxTokens };
}

async function driver(
  drafter: ToyDrafter,
  options: SchedulerDriverOptions = {},
): Promise<SchedulerDriver> {
  const d = await schedulerDriver([
    layoutPlugin(4),
    indexPlugin(),
    windowPlugin(9, 2, (l) => l.layer === 1),
    drafter.plugin,
  ], options);
  drafter.learn(d.plan);
  return d;
}

function assertAlone(d: SchedulerDriver, all: readonly GenRequest[]): void {
  for (const { id, prompt, maxTokens } of all) {
    const wanted = fakeGenerate(d.plan, prompt, maxTokens);
    assert.deepEqual(d.finished.get(id)?.tokens, wanted, `"${id}"`);
  }
  assert.ok(d.scheduler.idle);
  d.cache.evictIdle();
  d.cache.check();
  assert.equal(d.backend.memory.stat().used, 0);
}

Deno.test("Scheduler with right guesses gives the same tokens in fewer steps", async () => {
  for (const most of [1, 3, 7]) {
    const d = await driver(new ToyDrafter(most));
    const r = request("a", 9, 41);
    d.scheduler.add(r);
    const steps = d.drain();
    // The first token, then most + 1 a step.
    assert.equal(steps, 1 + Math.ceil(40 / (most + 1)));
    const { drafted, accepted, rows } = d.scheduler.stat();
    assert.deepEqual([drafted, accepted], [40 - (steps - 1), 40 - (steps - 1)]);
    assert.equal(rows, 9 + 40);
    assertAlone(d, [r]);
  }
});

Deno.test("Scheduler with wrong guesses gives the same tokens, and takes back what was wrong", async () => {
  for (const wrong of [1, 2, 3, 5]) {
    const d = await driver(new ToyDrafter(4, wrong));
    const all = [5, 12, 30].map((n, i) => request(`r${i}`, n, 25 + i));
    for (const r of all) d.scheduler.add(r);
    while (d.step()) {
      d.cache.check();
      for (let i = 0; i < 3; i++) {
        assert.ok((d.finished.get(`r${i}`)?.tokens.length ?? 0) <= 25 + i);
      }
    }
    const { drafted, accepted } = d.scheduler.stat();
    assert.ok(drafted > accepted);
    assert.equal(accepted > 0, wrong > 1);
    assertAlone(d, all);
  }
});

Deno.test("Scheduler guesses no further than the last token", async () => {
  for (let maxTokens = 1; maxTokens <= 8; maxTokens++) {
    const d = await driver(new ToyDrafter(5));
    const r = request("a", 9, maxTokens);
    d.scheduler.add(r);
    for (;;) {
      const plan = d.scheduler.step();
      if (plan === undefined) break;
      const e = plan.entries[0]!;
      assert.ok(e.start + e.rows <= 9 + maxTokens - 1, "computes too much");
      assert.equal(e.wanted, e.samples ? e.drafts + 1 : 0);
      d.run(plan);
      d.keep(d.scheduler.done(plan));
    }
    assertAlone(d, [r]);
  }
});

Deno.test("Scheduler ends a request at a stop token in the middle of right guesses", async () => {
  const r = request("a", 9, 40);
  const probe = await driver(new ToyDrafter(1));
  const tokens = fakeGenerate(probe.plan, r.prompt, 40);
  for (const at of [1, 2, 5, 9]) {
    const stop = tokens[at]!;
    const first = tokens.indexOf(stop);
    const d = await driver(new ToyDrafter(6), { stop });
    d.scheduler.add(r);
    d.drain();
    const { tokens: got, reason } = d.finished.get("a")!;
    assert.deepEqual([got, reason], [tokens.slice(0, first + 1), "stop"]);
    assert.ok(d.scheduler.idle);
  }
});

Deno.test("Scheduler gives guesses what rows are left by those who decode and their wanted rows", async () => {
  const d = await driver(new ToyDrafter(8), { rows: 7, seqs: 4, wanted: 6 });
  const all = [3, 4, 5].map((n, i) => request(`r${i}`, n, 12));
  for (const r of all) d.scheduler.add(r);
  let guesses = 0;
  for (;;) {
    const plan = d.scheduler.step();
    if (plan === undefined) break;
    assert.ok(plan.rows <= 7 && plan.wanted <= 6);
    const decoding = plan.entries.slice(0, plan.count)
      .filter((e) => e.kind === "decode");
    for (const e of decoding) guesses += e.drafts;
    d.run(plan);
    d.keep(d.scheduler.done(plan));
  }
  assert.ok(guesses > 3);
  assertAlone(d, all);
});

Deno.test("Scheduler does without guesses where they would cost others their memory", async () => {
  const d = await driver(new ToyDrafter(8), { budgetBytes: 20 * 32 });
  const all = [9, 9].map((n, i) => request(`r${i}`, n, 9));
  for (const r of all) d.scheduler.add(r);
  d.drain();
  assert.equal(d.scheduler.stat().preempted, 0);
  assertAlone(d, all);
});

Deno.test("Scheduler counts rows that are computed a second time, and nothing else", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], { rows: 8 });
  const r = request("a", 12, 6);
  d.scheduler.add(r);
  for (let i = 0; i < 4; i++) d.step(); // 12 rows in two steps, then two more
  assert.equal(d.scheduler.stat().recomputed, 0);
  d.scheduler.preempt("a", "drop");
  d.step();
  assert.equal(d.scheduler.stat().recomputed, 8);
  d.scheduler.preempt("a", "drop");
  d.drain();
  assert.equal(d.scheduler.stat().recomputed, 8 + 14);
  assert.equal(d.scheduler.stat().rows, 12 + 5 + 22);
  assertAlone(d, [r]);
});

Deno.test("Scheduler counts rows found in the cache after a preemption as not computed again", async () => {
  const d = await schedulerDriver([layoutPlugin(4), indexPlugin()], {
    rows: 16,
  });
  const r = request("a", 12, 6);
  d.scheduler.add(r);
  for (let i = 0; i < 3; i++) d.step();
  d.scheduler.preempt("a", "drop");
  d.drain();
  // Of 14 positions three blocks are there.
  assert.equal(d.scheduler.stat().recomputed, 2);
  assertAlone(d, [r]);
});

Deno.test("Scheduler lets no guess keep a prompt from being computed", async () => {
  for (const limits of [{ rows: 64, wanted: 8 }, { rows: 8, wanted: 8 }]) {
    const d = await driver(new ToyDrafter(15), limits);
    d.scheduler.add(request("talks", 9, 300));
    for (let i = 0; i < 5; i++) d.step();
    d.scheduler.add(request("waits", 7, 1));
    for (let i = 0; i < 4; i++) d.step();
    assert.ok(d.finished.has("waits"), JSON.stringify(limits));
    d.drain();
    assertAlone(d, [request("talks", 9, 300), request("waits", 7, 1)]);
  }
});
