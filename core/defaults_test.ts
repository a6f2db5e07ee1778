import assert from "node:assert/strict";
import { byPriority, defaultLayout, lru, rawCodec } from "./defaults.ts";
import { schedulerDriver } from "./testing/scheduler_driver.ts";
import { admissionSuite } from "./testing/suites/admission_suite.ts";
import { codecSuite } from "./testing/suites/codec_suite.ts";
import { evictionSuite } from "./testing/suites/eviction_suite.ts";
import { layoutSuite } from "./testing/suites/layout_suite.ts";

layoutSuite("defaultLayout()", defaultLayout);
codecSuite("rawCodec()", rawCodec);
evictionSuite("lru()", () => ({ evict: lru() }));
admissionSuite("byPriority()", byPriority);

Deno.test("byPriority() orders by priority, then by arrival; the newest of the lowest gives way", async () => {
  const { cache } = await schedulerDriver([]);
  const requests = [0, 2, undefined, 1, 2, -1].map((priority, i) => ({
    id: `${i}`,
    prompt: [1],
    maxTokens: 1,
    ...(priority === undefined ? {} : { priority }),
  }));
  const order = byPriority().order(requests, cache.stat());
  assert.deepEqual(order.map((r) => r.id), ["1", "4", "3", "0", "2", "5"]);
  assert.equal(byPriority().victim(requests).id, "5");
  assert.equal(byPriority().victim(requests.slice(0, 5)).id, "2");
  const plain = requests.filter((r) => r.priority === undefined);
  assert.equal(byPriority().order(plain, cache.stat()), plain, "no copy");
});
