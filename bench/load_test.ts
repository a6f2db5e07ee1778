import assert from "node:assert/strict";
import { load } from "../mod.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { direct, leftBehind, served } from "./load.ts";
import { wantedBy } from "./load_plan.ts";
import { LoopLag } from "./loop_lag.ts";

Deno.test("wantedBy() is the same every time, and a share of clients leaves", () => {
  assert.deepEqual(wantedBy(3, 5, 0.1), wantedBy(3, 5, 0.1));
  let left = 0;
  for (let n = 0; n < 2000; n++) {
    if (wantedBy(7, n, 0.1).leavesAfter !== undefined) left++;
  }
  assert.ok(left > 140 && left < 260, `${left}`);
});

Deno.test("LoopLag sees a thread that is busy", async () => {
  using lag = new LoopLag();
  await new Promise((r) => setTimeout(r, 20));
  const until = performance.now() + 60;
  while (performance.now() < until);
  await new Promise((r) => setTimeout(r, 20));
  assert.ok(lag.most > 50);
  assert.ok(lag.over(50) >= 1);
  assert.ok(lag.quantile(0) <= lag.most);
});

Deno.test("64 streams of which some are left leave nothing behind, with and without a server", () =>
  withFile(tinyChat(), async (path) => {
    await using engine = await load(path, { threads: 1, parallel: 64 });
    const alone = await direct(engine, 16, 200);
    assert.ok(alone.tokens > 0);
    const { rate, found } = await served(engine, 64, 1500);
    assert.deepEqual(found.errors, {});
    assert.ok(found.whole > 0 && found.left > 0);
    assert.ok(rate.tokens > 0);
    assert.deepEqual(leftBehind(engine), []);
  }));
