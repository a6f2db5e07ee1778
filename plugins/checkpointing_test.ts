import assert from "node:assert/strict";
import { fakePlan } from "../core/testing/fake_plan.ts";
import { restorerSuite } from "../core/testing/suites/restorer_suite.ts";
import type { Plugin } from "../core/plugin.ts";
import type { Restorer } from "../core/slots.ts";
import { checkpointing, type CheckpointingOptions } from "./checkpointing.ts";
import { pagedAttention } from "./paged_attention.ts";

async function restorer(
  options: CheckpointingOptions,
  layers = 4,
): Promise<Restorer> {
  const plugins: Plugin[] = [pagedAttention({ blockTokens: 4 })];
  plugins.push(checkpointing(options));
  return (await fakePlan(plugins, { layers })).plan.restore!;
}

restorerSuite(
  "checkpointing()",
  () => restorer({ every: 1, bytes: 3 * 41 * 4 + 100 }),
  { values: 41, holds: 3 },
);

Deno.test("checkpointing() keeps hidden states every so many layers", async () => {
  for (
    const [every, boundaries] of [
      [1, [1, 2, 3, 4, 5, 6]],
      [2, [2, 4, 6]],
      [3, [3, 6]],
      [6, [6]],
      [7, []],
      [100, []],
    ] as const
  ) {
    const r = await restorer({ every, bytes: 1000 }, 7);
    assert.deepEqual(r.boundaries, boundaries);
    assert.equal(r.capacity, 1000);
  }
  const r = await restorer({ every: "tokens" });
  assert.deepEqual(r.boundaries, []);
});

Deno.test("checkpointing() says in the plan what it keeps", async () => {
  const explained = async (options: CheckpointingOptions) =>
    (await fakePlan([pagedAttention(), checkpointing(options)], { layers: 6 }))
      .plan.explain();
  assert.match(
    await explained({ every: 2, bytes: 512 }),
    /restore: "checkpoints" keeps hidden states before layers 2, 4, up to 512 bytes/,
  );
  assert.match(
    await explained({ every: "tokens" }),
    /restore: "checkpoints" keeps tokens only/,
  );
});

Deno.test("checkpointing() refuses numbers that mean nothing", () => {
  for (const every of [0, -1, 1.5, NaN, Infinity, "all"]) {
    assert.throws(
      () => checkpointing({ every: every as number, bytes: 1 }),
      /Cannot keep checkpoints "every" .*: "tokens" or a whole number above 0 is wanted/,
    );
  }
  for (const bytes of [0, -1, 1.5, NaN, undefined]) {
    assert.throws(
      () =>
        checkpointing({ every: 1, ...bytes === undefined ? {} : { bytes } }),
      /Cannot keep checkpoints in "bytes" .* of host memory/,
    );
  }
});
