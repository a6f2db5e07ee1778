import assert from "node:assert/strict";
import { cacheDriver } from "./testing/cache_driver.ts";
import { layoutPlugin, windowPlugin } from "./testing/fake_plan.ts";

const tokens = Array.from({ length: 60 }, (_, i) => (i * i + 3 * i) % 90);

Deno.test("fillBatch() says what every row sees, and from how far its sinks", async () => {
  const driver = await cacheDriver([
    layoutPlugin(4),
    windowPlugin(6, 2, (l) => l.layer === 1, 15),
  ]);
  const one = driver.open(tokens), two = driver.open(tokens);
  driver.append([{ seq: one, tokens, to: 13 }]);
  const work = [{ seq: one, tokens, from: 13, to: 18 }, {
    seq: two,
    tokens,
    to: 3,
  }];
  const r = driver.cache.reserve(work);
  assert.ok(r.ok);
  driver.run(r, work);
  const { rows, positions, starts, sinks, backs } = driver.backend.batch;
  assert.equal(rows, 8);
  const of = (values: Int32Array): number[] => [...values.subarray(0, rows)];
  assert.deepEqual(of(positions), [13, 14, 15, 16, 17, 0, 1, 2]);
  assert.deepEqual(starts.map(of), [Array(8).fill(0), [
    ...[8, 9, 10, 11, 12],
    ...[0, 0, 0],
  ]]);
  assert.deepEqual(sinks.map(of), [Array(8).fill(0), [
    ...[2, 2, 2, 2, 2],
    ...[0, 0, 0],
  ]]);
  assert.deepEqual(backs.map(of), [Array(8).fill(0), [
    ...[0, 0, 1, 2, 3],
    ...[0, 0, 0],
  ]]);
  driver.cache.commit(r);
  driver.end();
});

Deno.test("fillBatch() turns rows back alike in chunks and one at a time", async () => {
  // The driver holds every row against what the retentions say.
  for (const chunk of [1, 4, 7, 60]) {
    const driver = await cacheDriver([
      layoutPlugin(4),
      windowPlugin(6, 3, undefined, 15),
    ]);
    const seq = driver.open(tokens);
    for (let from = 0; from < tokens.length; from += chunk) {
      const to = Math.min(from + chunk, tokens.length);
      assert.ok(driver.append([{ seq, tokens, from, to }]));
      driver.check();
    }
    driver.end();
  }
});
