import assert from "node:assert/strict";
import type { GenRequest } from "./scheduler_types.ts";
import { cacheDriver } from "./testing/cache_driver.ts";
import { fakeGenerate } from "./testing/fake_backend.ts";
import { layoutPlugin, windowPlugin } from "./testing/fake_plan.ts";
import { memoryTier, tierPlugin } from "./testing/memory_tier.ts";
import { schedulerDriver } from "./testing/scheduler_driver.ts";
import { ToyDrafter } from "./testing/toys.ts";

function request(id: string, length: number, maxTokens: number): GenRequest {
  const prompt = Array.from({ length }, (_, i) => (i * i + length) % 90);
  return { id, prompt, maxTokens };
}

Deno.test("Scheduler ends requests at their deadline with what they have: waiting, prefill, decode, held", async () => {
  let now = 0;
  const d = await schedulerDriver([layoutPlugin(4)], {
    rows: 8,
    seqs: 3,
    now: () => now,
  });
  const all = ["decodes", "rests", "prefill", "waits"].map((id, i) => ({
    ...request(id, i === 2 ? 40 : 3, 30),
    deadline: 100,
  }));
  const free = request("free", 5, 6);
  for (const r of [...all, free]) d.scheduler.add(r);
  for (let i = 0; i < 4; i++) {
    const plan = d.scheduler.step()!;
    d.run(plan);
    for (let k = 0; k < plan.count; k++) {
      if (plan.entries[k]!.request.id === "rests") plan.holds[k] = 1;
    }
    d.keep(d.scheduler.done(plan));
  }
  now = 99.9;
  d.step();
  assert.equal(d.finished.size, 0);
  const before = d.scheduler.stat();
  assert.deepEqual([before.running, before.waiting], [3, 2]);
  now = 100;
  d.drain();
  for (const { id, prompt } of all) {
    const { reason, tokens } = d.finished.get(id)!;
    assert.equal(reason, "deadline");
    assert.deepEqual(tokens, fakeGenerate(d.plan, prompt, tokens.length));
  }
  assert.deepEqual(
    all.map((r) => d.finished.get(r.id)!.tokens.length),
    [5, 0, 0, 0],
  );
  assert.equal(d.finished.get("free")!.reason, "length");
  assert.equal(d.backend.memory.stat().used, 0);
});

Deno.test("Scheduler runs a step to its end that a deadline falls into", async () => {
  let now = 0;
  const d = await schedulerDriver([layoutPlugin(4)], { now: () => now });
  d.scheduler.add({ ...request("a", 5, 9), deadline: 10 });
  const plan = d.scheduler.step()!;
  now = 20;
  d.run(plan);
  assert.deepEqual(d.scheduler.done(plan), []);
  assert.equal(d.scheduler.step(), undefined);
  const [ended] = d.scheduler.ended();
  assert.deepEqual([ended!.reason, ended!.tokens.length], ["deadline", 1]);
});

Deno.test("Scheduler.add() takes a deadline that is over, refuses one that is none", async () => {
  const d = await schedulerDriver([], { now: () => 50 });
  d.scheduler.add({ ...request("late", 5, 9), deadline: 1 });
  d.scheduler.add({ ...request("never", 5, 2), deadline: Infinity });
  assert.throws(
    () => d.scheduler.add({ ...request("bad", 5, 9), deadline: NaN }),
    /"bad": its deadline is NaN/,
  );
  d.drain();
  assert.deepEqual(d.finished.get("late")!.tokens, []);
  assert.equal(d.finished.get("late")!.reason, "deadline");
  assert.equal(d.finished.get("never")!.reason, "length");
});

Deno.test("Scheduler admits nobody into the part of the memory that the watermark keeps free", async () => {
  // Prompts of four blocks, in 32 of them.
  const running = async (watermark: number) => {
    const d = await schedulerDriver([layoutPlugin(4)], {
      budgetBytes: 32 * 64,
      rows: 200,
      watermark,
    });
    const all = Array.from({ length: 8 }, (_, i) => request(`r${i}`, 14, 2));
    for (const r of all) d.scheduler.add(r);
    d.step();
    const { running } = d.scheduler.stat();
    d.drain();
    assert.equal(d.finished.size, 8);
    return running;
  };
  const counts = [
    await running(0),
    await running(0.25),
    await running(0.5),
    await running(0.99),
  ];
  assert.ok(counts[0]! > counts[1]! && counts[1]! > counts[2]!, `${counts}`);
  assert.equal(counts[3], 1, "the first is let in whatever is free");
  for (const watermark of [-0.1, 1, NaN]) {
    await assert.rejects(() => running(watermark), /"watermark"/);
  }
});

Deno.test("Scheduler lets higher priority begin first, among equals who came first", async () => {
  const d = await schedulerDriver([layoutPlugin(4)], {
    budgetBytes: 12 * 64,
    rows: 16,
    seqs: 2,
  });
  const all = [0, 0, 5, 1, 5].map((priority, i) => ({
    ...request(`${priority}/${i}`, 9 + i, 9),
    priority,
  }));
  for (const r of all) d.scheduler.add(r);
  const begun: string[] = [];
  for (;;) {
    const plan = d.scheduler.step();
    if (plan === undefined) break;
    for (let i = 0; i < plan.count; i++) {
      const { id } = plan.entries[i]!.request;
      if (!begun.includes(id)) begun.push(id);
    }
    d.run(plan);
    d.keep(d.scheduler.done(plan));
  }
  assert.deepEqual(begun, ["5/2", "5/4", "1/3", "0/0", "0/1"]);
  for (const { id, prompt, maxTokens } of all) {
    const wanted = fakeGenerate(d.plan, prompt, maxTokens);
    assert.deepEqual(d.finished.get(id)!.tokens, wanted);
  }
});

Deno.test("Scheduler goes on without what a tier has lost", async () => {
  const tier = memoryTier(1 << 16);
  const d = await schedulerDriver([layoutPlugin(4), tierPlugin(tier)]);
  const a = request("a", 17, 9), b = request("b", 5, 9);
  d.scheduler.add(a);
  d.scheduler.add(b);
  for (let i = 0; i < 3; i++) d.step();
  d.scheduler.preempt("a", "swap");
  assert.equal(d.scheduler.stat().swapped, 1);
  tier.loses = () => true;
  const plan = d.scheduler.step()!;
  const seq = plan.entries[0]!.seq;
  assert.equal(plan.entries[0]!.request.id, "a");
  await assert.rejects(
    async () => await d.cache.load(plan.reservation),
    /no tier has them any more/,
  );
  d.keep(d.scheduler.lose(plan, new Map([[seq, 0]])));
  d.cache.check();
  tier.loses = () => false;
  d.drain();
  for (const { id, prompt, maxTokens } of [a, b]) {
    const wanted = fakeGenerate(d.plan, prompt, maxTokens);
    assert.deepEqual(d.finished.get(id)!.tokens, wanted);
  }
  assert.equal(d.scheduler.stat().recomputed, 19);
  assert.equal(d.backend.memory.stat().used, 0);
});

Deno.test("KVCache.forkedBytes() is what forks take together at their largest", async () => {
  for (
    const [plugins, shared] of [
      [[layoutPlugin(4)], 20],
      [[layoutPlugin(4)], 18],
      [[layoutPlugin(4), windowPlugin(6, 2, (l) => l.layer === 0)], 18],
      [[layoutPlugin(3), windowPlugin(9)], 7],
    ] as const
  ) {
    for (const copies of [1, 2, 5]) {
      const d = await cacheDriver(plugins, { budgetBytes: 1 << 12 });
      const bytes = d.cache.forkedBytes(40, shared, copies);
      const first = d.open([]);
      for (let i = 0; i < shared; i++) d.append([{ seq: first, tokens: [i] }]);
      const all = [first];
      while (all.length < copies) all.push(d.fork(first));
      let most = 0;
      for (let i = shared; i < 40; i++) {
        for (const [k, seq] of all.entries()) {
          d.append([{ seq, tokens: [i + k] }]);
          most = Math.max(most, d.cache.stat().tiers[0]!.used);
        }
      }
      const exact = plugins.length === 1;
      assert.ok(most <= bytes, `${most} bytes, at most ${bytes}`);
      if (exact) assert.equal(most, bytes);
      d.end();
    }
  }
});

Deno.test("Scheduler times steps and guesses on one clock: drafting keeps to a deadline", async () => {
  let now = 0;
  const drafter = new ToyDrafter(4);
  const d = await schedulerDriver([layoutPlugin(4), drafter.plugin], {
    now: () => now,
  });
  drafter.learn(d.plan);
  const r = { ...request("a", 5, 60), deadline: 3 };
  d.scheduler.add(r);
  while (d.step()) now++;
  const { tokens, reason } = d.finished.get("a")!;
  assert.equal(reason, "deadline");
  assert.deepEqual(tokens, fakeGenerate(d.plan, r.prompt, 1 + 5 + 5));
});

Deno.test("Scheduler.cancel() ends what was aborted in its step, and nothing else", async () => {
  const d = await schedulerDriver([layoutPlugin(4)]);
  const a = request("a", 9, 5), b = request("b", 9, 5);
  d.scheduler.add(a);
  d.scheduler.add(b);
  d.step();
  const plan = d.scheduler.step()!;
  d.run(plan);
  d.scheduler.abort("a");
  assert.deepEqual(d.scheduler.ended(), [], "the step holds it");
  const [ended, ...more] = d.scheduler.cancel(plan);
  assert.deepEqual([ended!.id, ended!.reason, more], ["a", "aborted", []]);
  assert.deepEqual(ended!.tokens, fakeGenerate(d.plan, a.prompt, 1));
  assert.equal(d.scheduler.stat().running, 1);
  d.drain();
  assert.deepEqual(
    d.finished.get("b")!.tokens,
    fakeGenerate(d.plan, b.prompt, 5),
  );
});
