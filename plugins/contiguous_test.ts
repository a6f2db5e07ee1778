import assert from "node:assert/strict";
import { PlanError } from "../core/plugin.ts";
import { cacheDriver } from "../core/testing/cache_driver.ts";
import { fakeGenerate } from "../core/testing/fake_backend.ts";
import { fakePlan } from "../core/testing/fake_plan.ts";
import { schedulerDriver } from "../core/testing/scheduler_driver.ts";
import { layoutSuite } from "../core/testing/suites/layout_suite.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { contiguous } from "./contiguous.ts";
import { pagedAttention } from "./paged_attention.ts";

layoutSuite(
  "contiguous()",
  () => provided(contiguous({ tokens: 96 }), "layout"),
);

function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i % 90);
}

Deno.test("contiguous() takes one block a sequence, used or not", async () => {
  const d = await cacheDriver([contiguous({ tokens: 64 })], {
    budgetBytes: 3 * 64 * 16,
  });
  const a = d.open([]);
  d.append([{ seq: a, tokens: [1] }]);
  const { blocks, tiers, unused } = d.cache.stat();
  assert.deepEqual(blocks, { open: 1, sealed: 0, idle: 0 });
  assert.equal(tiers[0]!.used, 64 * 16);
  assert.equal(unused, 63 * 16);
  assert.ok(d.append([{ seq: a, tokens: range(63) }]));
  assert.equal(d.cache.stat().references, 1);
  assert.ok(d.append([{ seq: a, tokens: [5] }]), "longer ones take another");
  assert.equal(d.cache.stat().references, 2);
  d.check();
  d.end();
});

Deno.test("contiguous() copies everything in a fork that is written to", async () => {
  const d = await cacheDriver([contiguous({ tokens: 64 })]);
  const a = d.open([]);
  d.append([{ seq: a, tokens: range(40) }]);
  const b = d.fork(a);
  assert.equal(d.cache.stat().blocks.open, 1);
  d.append([{ seq: a, tokens: [1] }, { seq: b, tokens: [2] }]);
  assert.equal(d.cache.stat().blocks.open, 2);
  assert.equal(d.cache.stat().copies, 1);
  d.end();
});

Deno.test("contiguous() runs no more at once than whole runs fit, with the tokens of each alone", async () => {
  const d = await schedulerDriver([contiguous({ tokens: 48 })], {
    budgetBytes: 4 * 48 * 16,
    rows: 32,
  });
  const all = [5, 9, 1, 20, 33].map((n, i) => ({
    id: `r${i}`,
    prompt: range(n + i).slice(i),
    maxTokens: 12,
  }));
  for (const r of all) d.scheduler.add(r);
  let most = 0;
  while (d.step()) most = Math.max(most, d.scheduler.stat().running);
  assert.ok(most > 1 && most <= 4, `${most} at once`);
  for (const { id, prompt, maxTokens } of all) {
    const wanted = fakeGenerate(d.plan, prompt, maxTokens);
    assert.deepEqual(d.finished.get(id)!.tokens, wanted);
  }
});

Deno.test("contiguous() refuses sizes that are none, and a second layout", async () => {
  for (const tokens of [0, -5, 2.5, NaN, Infinity, 1 << 20]) {
    await assert.rejects(
      () => fakePlan([contiguous({ tokens })]),
      (e: unknown) =>
        e instanceof PlanError && e.message.includes(`blocks of ${tokens}`),
    );
  }
  await assert.rejects(
    () => fakePlan([contiguous({ tokens: 64 }), pagedAttention()]),
    /slot "layout" takes one contribution.*"contiguous" and "paged-attention"/,
  );
});
