import assert from "node:assert/strict";
import { fakeGenerate } from "../core/testing/fake_backend.ts";
import { schedulerDriver } from "../core/testing/scheduler_driver.ts";
import { pagedAttention } from "./paged_attention.ts";
import { prefixCache } from "./prefix_cache.ts";

Deno.test("Scheduler and prefixCache() share nothing between tenants, everything within one", async () => {
  const plugins = [pagedAttention({ blockTokens: 4 }), prefixCache()];
  const d = await schedulerDriver(plugins);
  const prompt = Array.from({ length: 21 }, (_, i) => i);
  const run = (id: string, tenant: string | undefined) => {
    d.scheduler.add({
      id,
      prompt,
      maxTokens: 5,
      ...(tenant === undefined ? {} : { tenant }),
    });
    d.drain();
    const { tokens, cached, miss } = d.finished.get(id)!;
    assert.deepEqual(tokens, fakeGenerate(d.plan, prompt, 5));
    return [cached, miss?.reason];
  };
  assert.deepEqual(run("a1", "a"), [0, "unseen"]);
  assert.deepEqual(run("a2", "a"), [20, undefined]);
  assert.deepEqual(run("b1", "b"), [0, "salted"]);
  assert.deepEqual(run("b2", "b"), [20, undefined]);
  assert.deepEqual(run("none", undefined), [0, "salted"]);
  assert.deepEqual(run("empty", ""), [20, undefined]);
});

Deno.test("Scheduler and prefixCache() keep a request's blocks by its cache priority", async () => {
  const plugins = [pagedAttention({ blockTokens: 4 }), prefixCache()];
  const d = await schedulerDriver(plugins, { budgetBytes: 12 * 64 });
  const prompt = (from: number) =>
    Array.from({ length: 17 }, (_, i) => from + i);
  const run = (id: string, from: number, cachePriority = 0) => {
    d.scheduler.add({ id, prompt: prompt(from), maxTokens: 1, cachePriority });
    d.drain();
    return d.finished.get(id)!.cached;
  };
  run("pinned", 0, 1);
  for (let i = 0; i < 6; i++) run(`r${i}`, 20 + 10 * i);
  assert.equal(run("again", 0), 16);
  assert.equal(run("first", 20), 0);
});
