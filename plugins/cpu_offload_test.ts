import assert from "node:assert/strict";
import { cacheDriver } from "../core/testing/cache_driver.ts";
import { provided } from "../core/testing/suites/suite.ts";
import { tierSuite } from "../core/testing/suites/tier_suite.ts";
import type { BlockId } from "../core/types.ts";
import { cpuOffload } from "./cpu_offload.ts";
import { pagedAttention } from "./paged_attention.ts";
import { prefixCache } from "./prefix_cache.ts";

const ABOUT = { salt: "", tokens: 4, fingerprint: "plan" };

tierSuite(
  "cpuOffload()",
  () => provided(cpuOffload({ bytes: 1 << 20 }), "tier"),
);

Deno.test("cpuOffload() refuses what is no number of bytes", () => {
  for (const bytes of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(() => cpuOffload({ bytes }), RangeError);
  }
});

Deno.test("cpuOffload() gives up the prefix that was used longest ago, never what requests left", async () => {
  const tier = await provided(cpuOffload({ bytes: 1000 }), "tier");
  const content = tier.content!;
  const there = async (): Promise<string> =>
    (await content.find(["a", "b", "c", "d"], ABOUT)).join("");
  for (const key of ["a", "b", "c"]) {
    await content.keep(key, new Uint8Array(300).fill(key.charCodeAt(0)), ABOUT);
  }
  const out = new Uint8Array(300);
  assert.equal(await content.read("a", out, ABOUT), "ok");
  assert.equal(out[7], 97);
  await content.keep("d", new Uint8Array(300), ABOUT);
  assert.equal(await there(), "1011");
  await tier.put(1 as BlockId, new Uint8Array(650).fill(7));
  assert.equal(await there(), "0001");
  assert.equal(content.used, 300);
  // No room but for what requests left.
  await content.keep("a", new Uint8Array(400), ABOUT);
  assert.equal(await there(), "0001");
  tier.drop(1 as BlockId);
  await content.keep("a", new Uint8Array(400), ABOUT);
  assert.equal(await there(), "1001");
  assert.equal(content.used, 700);
});

Deno.test("KVCache finds in host memory what the device has given up", async () => {
  const d = await cacheDriver([
    pagedAttention({ blockTokens: 4 }),
    prefixCache(),
    cpuOffload({ bytes: 1 << 12 }),
  ], { budgetBytes: 10 * 64 });
  const text = (from: number) => Array.from({ length: 33 }, (_, i) => from + i);
  for (const from of [0, 40, 0, 40]) {
    const seq = d.open(text(from)), cached = d.cache.length(seq);
    const tokens = text(from).slice(cached);
    assert.ok(await d.appendLoaded([{ seq, tokens }]));
    d.close(seq);
  }
  const { hitTokens, fetchedTokens, tiers } = d.cache.stat();
  assert.equal(hitTokens, 64);
  assert.ok(fetchedTokens > 40, `${fetchedTokens}`);
  assert.ok(tiers[1]!.used > 0 && tiers[1]!.used <= 1 << 12);
  assert.match(
    d.plan.explain(),
    /tier "cpu": prefixes that the device gives up; requests that give way; contexts larger than the device/,
  );
  d.end();
});

Deno.test("KVCache.open() is not undone by the room it makes", async () => {
  const d = await cacheDriver([
    pagedAttention({ blockTokens: 4 }),
    prefixCache(),
    cpuOffload({ bytes: 10 * 64 }),
  ], { budgetBytes: 10 * 64 });
  let fetched = 0;
  for (let i = 0; i < 15; i++) {
    const text = Array.from({ length: 33 }, (_, k) => (k + i % 3 * 31) % 97);
    const seq = d.open(text), cached = d.cache.length(seq);
    d.cache.summon(seq);
    const work = [{ seq, tokens: text.slice(cached) }];
    const r = d.cache.reserve(work);
    assert.ok(r.ok);
    // Nothing is lost, however often tier and device change places.
    assert.equal(d.cache.load(r), undefined);
    d.run(r, work);
    d.cache.commit(r);
    d.check();
    d.close(seq);
    fetched = d.cache.stat().fetchedTokens;
  }
  assert.ok(fetched > 0);
  d.end();
});
