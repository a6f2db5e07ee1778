import assert from "node:assert/strict";
import { fakeGenerate } from "./testing/fake_backend.ts";
import { indexPlugin, layoutPlugin } from "./testing/fake_plan.ts";
import {
  type ContentTier,
  contentTier,
  tierPlugin,
} from "./testing/memory_tier.ts";
import {
  type SchedulerDriver,
  schedulerDriver,
  type SchedulerDriverOptions,
} from "./testing/scheduler_driver.ts";
import type { GenRequest } from "./scheduler_types.ts";

const PROMPT = Array.from({ length: 22 }, (_, i) => 3 * i % 50);
const B: GenRequest = { id: "b", prompt: PROMPT, maxTokens: 3 };

/** A shelf that has the prompt's blocks. */
async function filled(): Promise<Map<string, Uint8Array>> {
  const tier = contentTier("full");
  const d = await driver([tier]);
  d.scheduler.add({ ...B, id: "first" });
  d.drain();
  return tier.shelf;
}

function driver(
  tiers: readonly ContentTier[],
  options: SchedulerDriverOptions = {},
): Promise<SchedulerDriver> {
  return schedulerDriver([
    layoutPlugin(4),
    indexPlugin(),
    tierPlugin(...tiers),
  ], options);
}

/** A tier whose reads wait until they are let go. */
async function gated(): Promise<{
  readonly tier: ContentTier;
  readonly open: () => Promise<void>;
}> {
  const tier = contentTier("full", 2, await filled());
  const gate = Promise.withResolvers<void>();
  const { find, read } = tier.content!;
  Object.assign(tier.content!, {
    find: async (...a: Parameters<typeof find>) => await find(...a),
    read: async (...a: Parameters<typeof read>) => {
      await gate.promise;
      return await read(...a);
    },
  });
  const open = async (): Promise<void> => {
    gate.resolve();
    await new Promise((r) => setTimeout(r));
  };
  return { tier, open };
}

function ids(plan: ReturnType<SchedulerDriver["scheduler"]["step"]>): string {
  const out: string[] = [];
  for (let i = 0; i < plan!.count; i++) out.push(plan!.entries[i]!.request.id);
  return out.join();
}

Deno.test("Scheduler lets others run while a request's blocks are on their way", async () => {
  const { tier, open } = await gated();
  const d = await driver([tier]);
  d.scheduler.add({ id: "a", prompt: [1, 2, 3], maxTokens: 12 });
  assert.ok(d.step());
  await d.cache.seek(PROMPT);
  d.scheduler.add(B);
  for (let i = 0; i < 4; i++) {
    const plan = d.scheduler.step()!;
    assert.equal(ids(plan), "a");
    assert.equal(d.cache.load(plan.reservation), undefined, "nobody waits");
    d.run(plan);
    d.keep(d.scheduler.done(plan));
    d.cache.check();
  }
  assert.equal(d.scheduler.stat().running, 2);
  await open();
  const plan = d.scheduler.step()!;
  assert.equal(ids(plan), "a,b");
  assert.equal(plan.entries[1]!.start, 20);
  d.run(plan);
  d.keep(d.scheduler.done(plan));
  d.drain();
  for (const [id, { tokens, cached }] of d.finished) {
    const [prompt, most] = id === "b" ? [PROMPT, 3] : [[1, 2, 3], 12];
    assert.deepEqual(tokens, fakeGenerate(d.plan, prompt, most));
    assert.equal(cached, id === "b" ? 20 : 0);
  }
});

Deno.test("Scheduler plans a request whose blocks are on their way when nobody else can run", async () => {
  const { tier, open } = await gated();
  const d = await driver([tier]);
  await d.cache.seek(PROMPT);
  d.scheduler.add(B);
  const plan = d.scheduler.step()!;
  assert.equal(ids(plan), "b");
  const loading = d.cache.load(plan.reservation);
  assert.ok(loading instanceof Promise);
  await open();
  await loading;
  d.run(plan);
  d.keep(d.scheduler.done(plan));
  d.drain();
  const { tokens } = d.finished.get("b")!;
  assert.deepEqual(tokens, fakeGenerate(d.plan, PROMPT, 3));
});

Deno.test("Scheduler.abort() of a request whose blocks are on their way leaves nothing behind", async () => {
  const { tier, open } = await gated();
  const d = await driver([tier]);
  await d.cache.seek(PROMPT);
  d.scheduler.add({ id: "a", prompt: [1, 2, 3], maxTokens: 12 });
  d.scheduler.add(B);
  assert.ok(d.step());
  d.scheduler.abort("b");
  d.cache.check();
  // Its places are others' by the time the bytes come.
  d.scheduler.add({ id: "c", prompt: PROMPT.toReversed(), maxTokens: 3 });
  assert.ok(d.step());
  await open();
  d.cache.check();
  d.drain();
  assert.deepEqual(
    d.finished.get("c")!.tokens,
    fakeGenerate(d.plan, PROMPT.toReversed(), 3),
  );
  d.cache.evictIdle();
  assert.equal(d.backend.memory.stat().used, 0);
});

Deno.test("Scheduler brings the prefix of a request that waits nearer", async () => {
  const far = contentTier("full", 2, await filled());
  const near = contentTier("leaving", 1);
  const { find } = far.content!;
  Object.assign(far.content!, {
    find: async (...a: Parameters<typeof find>) => await find(...a),
  });
  const d = await driver([near, far], { budgetBytes: 8 * 64 });
  d.scheduler.add({ id: "a", prompt: PROMPT.map((t) => t + 1), maxTokens: 8 });
  assert.ok(d.step());
  await d.cache.seek(PROMPT);
  d.scheduler.add(B);
  assert.ok(d.step());
  assert.equal(d.scheduler.stat().waiting, 1);
  await new Promise((r) => setTimeout(r));
  assert.equal(near.shelf.size, 5);
  d.drain();
  assert.equal(d.finished.get("b")!.cached, 20);
  assert.deepEqual(
    d.finished.get("b")!.tokens,
    fakeGenerate(d.plan, PROMPT, 3),
  );
});
