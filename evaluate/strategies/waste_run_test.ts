import assert from "node:assert/strict";
import { contiguous } from "../../plugins/contiguous.ts";
import { pagedAttention } from "../../plugins/paged_attention.ts";
import type { Plugin } from "../../core/plugin.ts";
import type { Arrival } from "./traces.ts";
import { paced, replayWaste, type Waste } from "./waste_run.ts";

/** Bytes of a position of SmolLM2 in f16. */
const POSITION = 23040;

const PRETENDED = { chunk: 64, stepMs: 1, rowMs: 1, load: 1 };

/** A request every second of 40 tokens and 9 more: 48 positions. */
const TRACE: readonly Arrival[] = Array.from(
  { length: 6 },
  (_, i) => ({ at: i * 1000, prompt: 40, make: 9 }),
);

function replay(plugin: Plugin, slabBlocks?: number): Promise<Waste> {
  return replayWaste({
    ...PRETENDED,
    trace: TRACE,
    budgetBytes: 400 * POSITION,
    plugins: [plugin],
    slabBlocks,
    looks: 1e6,
  });
}

Deno.test("replayWaste() finds only ends of blocks where blocks are taken one by one", async () => {
  const waste = await replay(pagedAttention({ blockTokens: 16 }), 1);
  assert.equal(waste.blockTokens, 16);
  assert.equal(waste.slabBlocks, 1);
  assert.equal(waste.slabs, 0);
  assert.equal(waste.ofBytes, waste.tails);
  assert.ok(waste.mean > 0 && waste.mean < 0.3, `${waste.mean}`);
  assert.equal(waste.between, 0);
  // 6 prompts of one step, 8 steps for the other tokens of the last one.
  assert.ok(waste.steps >= 14 && waste.steps <= 6 * 9, `${waste.steps}`);
  assert.ok(waste.looks > 10);
});

Deno.test("replayWaste() counts free slots of slabs", async () => {
  const waste = await replay(pagedAttention({ blockTokens: 16 }), 8);
  const single = await replay(pagedAttention({ blockTokens: 16 }), 1);
  assert.ok(waste.slabs > 0.1, `${waste.slabs}`);
  assert.ok(Math.abs(waste.tails + waste.slabs - waste.ofBytes) < 1e-12);
  assert.ok(waste.ofBytes > single.ofBytes);
});

Deno.test("replayWaste() of a contiguous block wastes what a request leaves of it", async () => {
  const waste = await replay(contiguous({ tokens: 200 }));
  // 40 to 48 of 200 positions are used, fewer while others begin.
  assert.ok(waste.mean > 1 - 48 / 200 && waste.mean < 1 - 40 / 200 + 0.02);
  assert.equal(waste.slabs, 0);
  // Two blocks fit, so at most two run and nothing is left over.
  assert.ok(waste.running <= 2);
  assert.equal(waste.outside, 0);
});

Deno.test("replayWaste() says what a request lacks that does not fit alone", async () => {
  await assert.rejects(
    replayWaste({
      ...PRETENDED,
      trace: [{ at: 0, prompt: 100, make: 1 }],
      budgetBytes: 50 * POSITION,
      plugins: [pagedAttention({ blockTokens: 16 })],
    }),
    /Cannot replay a request of 100 positions: \d+ bytes are missing/,
  );
});

Deno.test("paced() stretches arrivals until the work offered is the load wanted", () => {
  const rows = 6 * 49, cost = rows * (1 + 1 / 64);
  const last = paced(TRACE, { ...PRETENDED, load: 0.5 }).at(-1)!.at;
  assert.ok(Math.abs(last - cost / 0.5) < 1e-6);
  const one = TRACE.slice(0, 1);
  assert.deepEqual(paced(one, PRETENDED), one);
});
