import assert from "node:assert/strict";
import { Contributions } from "../core/contributions.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { fakeModel } from "../core/testing/fake_plan.ts";
import { FakeBackend } from "../core/testing/fake_backend.ts";
import type { WeightPlan, WeightSizes } from "../core/weight_plan.ts";
import { weightOffload, type WeightOffloadOptions } from "./weight_offload.ts";

/** What the plugin decides. */
async function place(
  options: WeightOffloadOptions,
  sizes: WeightSizes,
): Promise<WeightPlan> {
  const given = new Contributions();
  const plugins = [weightOffload(options)];
  await given.gather(plugins, fakeModel(2), new FakeBackend());
  return given.one("weights", "", () => true)!.value.place(sizes);
}

/** Ten layers of 100 bytes under an output of 300, where nothing else takes any. */
const SIZES: WeightSizes = {
  budget: 1300,
  layers: Array(10).fill(100),
  fixed: 300,
  output: 300,
  steps: [{ rows: 256, bytes: 0 }],
  streaming: { disk: 0, host: 0 },
  leastKv: 0,
  contextKv: 0,
};

/** Bytes on the device. */
function taken({ streamed, depth, slotBytes }: WeightPlan, s: WeightSizes) {
  const stay = s.layers.filter((_, i) => !streamed.includes(i));
  return s.fixed + depth * slotBytes + stay.reduce((a, b) => a + b, 0);
}

Deno.test("weightOffload() streams nothing where everything fits", async () => {
  const plan = await place({}, SIZES);
  assert.deepEqual([plan.streamed, plan.depth, plan.slotBytes], [[], 0, 0]);
  const little = await place({}, { ...SIZES, budget: 1299 });
  assert.ok(little.streamed.length > 0);
});

Deno.test("weightOffload() fits the budget with as many layers as it holds, in a random world", async () => {
  const roll = dice(8);
  let tight = 0, refused = 0;
  for (let i = 0; i < 600; i++) {
    const layers = Array.from(
      { length: 1 + roll(12) },
      () => 64 * (9 + roll(9)),
    );
    const all = layers.reduce((a, b) => a + b, 0);
    const leastKv = 64 * (1 + roll(5));
    const sizes: WeightSizes = {
      budget: Math.floor(all * (roll(15) + 1) / 10),
      layers,
      fixed: 64 * roll(20),
      output: 64 * roll(40),
      steps: [{ rows: 256, bytes: 640 }, { rows: 512, bytes: 1280 }],
      streaming: { disk: 128, host: 64 },
      leastKv,
      contextKv: leastKv + 64 * roll(40),
    };
    const from = roll(2) === 0 ? "disk" : "host";
    const given = {
      from,
      ...roll(3) === 0 ? { resident: roll(layers.length + 1) } : {},
      ...roll(3) === 0 ? { depth: 1 + roll(4) } : {},
    } as const;
    let plan: WeightPlan;
    try {
      plan = await place(given, sizes);
    } catch (error) {
      assert.match((error as Error).message, /in a "budget" of \d+ bytes/);
      refused++;
      continue;
    }
    assert.deepEqual(plan, await place(given, sizes));
    const { streamed, depth, slotBytes, rows } = plan;
    const step = sizes.steps.find((s) => s.rows === rows)!.bytes;
    const beside = step + (depth > 0 ? sizes.streaming[from] : 0);
    const total = taken(plan, sizes) + beside;
    assert.ok(total + leastKv <= sizes.budget, "no room");
    if (total + sizes.contextKv > sizes.budget) {
      tight++;
      assert.match(plan.notes.join(), /get the rest/);
    }
    assert.equal(depth > 0, streamed.length > 0);
    assert.ok(depth <= streamed.length);
    assert.equal(slotBytes, Math.max(0, ...streamed.map((l) => layers[l]!)));
    if (given.resident !== undefined) {
      assert.equal(layers.length - streamed.length, given.resident);
    }
    if (given.depth !== undefined) {
      assert.equal(depth, Math.min(given.depth, streamed.length));
    }
  }
  assert.ok(tight > 10 && refused > 50, `${tight} tight, ${refused} refused`);
});

Deno.test("weightOffload() keeps more layers in more room, and reads less", async () => {
  for (const from of ["disk", "host"] as const) {
    let before = Infinity;
    for (let budget = 400; budget <= 1300; budget += 20) {
      const { streamed } = await place({ from }, { ...SIZES, budget });
      assert.ok(streamed.length <= before, `${budget}: ${streamed}`);
      before = streamed.length;
    }
    assert.equal(before, 0);
  }
});

Deno.test("weightOffload() spreads what stays, but keeps small layers of a file together", async () => {
  const large = { ...SIZES, layers: Array(10).fill(1 << 28), budget: 1e11 };
  const stays = async (options: WeightOffloadOptions, sizes: WeightSizes) => {
    const { streamed } = await place(options, sizes);
    return sizes.layers.map((_, i) => i).filter((i) => !streamed.includes(i));
  };
  const evenly = [1, 5, 8];
  assert.deepEqual(await stays({ from: "host", resident: 3 }, SIZES), evenly);
  assert.deepEqual(await stays({ resident: 3 }, large), evenly);
  assert.deepEqual(await stays({ resident: 3 }, SIZES), [0, 1, 2]);
});

Deno.test("weightOffload() takes as many slots as the longest pause fills", async () => {
  const depth = async (options: WeightOffloadOptions, sizes = SIZES) =>
    (await place({ from: "host", ...options }, { ...sizes, budget: 9999 }))
      .depth;
  // Loading 10 of 13 takes four times as long, so 3 × 10 / 13 / 4 come in meanwhile.
  assert.equal(await depth({ resident: 0 }), 2 + 1);
  assert.equal(await depth({ resident: 0 }, { ...SIZES, output: 0 }), 2);
  // All that stay and the output in one run, 18 × 5 / 23 / 4.
  const large = { ...SIZES, output: 1300 };
  assert.equal(await depth({ resident: 5, from: "disk" }, large), 2 + 1);
  // Layer 5 stays and takes 40 times as long as others, 40 × 7 / 52 / 4.
  const layers = SIZES.layers.map((b, i) => i === 5 ? 40 * b : b);
  assert.equal(await depth({ resident: 3 }, { ...SIZES, layers }), 2 + 2);
  assert.equal(await depth({ resident: 0, depth: 3 }), 3);
  assert.equal(await depth({ resident: 9 }), 1);
  // Rather fewer than none.
  const little = { ...SIZES, budget: 400 };
  const one = await place({}, little);
  assert.deepEqual([one.depth, one.streamed.length], [1, 10]);
  assert.match(one.notes.join(), /take turns/);
});

Deno.test("weightOffload() takes larger steps where that sends no layer away", async () => {
  const steps = [256, 512, 1024].map((rows) => ({ rows, bytes: rows }));
  const rows = async (budget: number, options = {}, more = {}) =>
    (await place({ from: "host", ...options }, {
      ...SIZES,
      budget,
      steps,
      ...more,
    }))
      .rows;
  const { streamed: none } = await place({}, { ...SIZES, steps, budget: 9999 });
  assert.deepEqual(none, []);
  assert.equal(await rows(9999), 256);
  assert.equal(await rows(9999, { resident: 4 }), 1024);
  // 300 fixed, 400 stay and 3 slots.
  assert.equal(await rows(1000 + 1024, { resident: 4 }), 1024);
  assert.equal(await rows(1000 + 1023, { resident: 4 }), 512);
  assert.equal(await rows(1000 + 511, { resident: 4 }), 256);
  const steps1 = { steps: [{ rows: 100, bytes: 1 }] };
  assert.equal(await rows(9999, { resident: 4 }, steps1), 100);
});

Deno.test("weightOffload() says with all numbers what there is no room for", async () => {
  const small = {
    ...SIZES,
    budget: 450,
    leastKv: 40,
    contextKv: 40,
    streaming: { disk: 20, host: 0 },
  };
  await assert.rejects(() => place({}, small), {
    message:
      /Cannot stream weights in a "budget" of 450 bytes: 360 are taken \(300 of weights that always stay, 0 of working memory, 20 to stream with, 40 of K and V\), which leaves 90; 0 of 10 layers that stay and 1 slot of 100 take 100: raise it, or lower "chunk"$/,
  });
  await assert.rejects(
    () => place({ resident: 3, depth: 2 }, small),
    /3 of 10 layers that stay and 2 slots of 100 take 500: .* or "resident" or "depth"$/,
  );
  await assert.rejects(() => place({ resident: 11 }, SIZES), /has 10/);
});

Deno.test("weightOffload() refuses options that no model could have", () => {
  for (
    const [options, message] of [
      [{ from: "tape" as "disk" }, /from "tape"/],
      [{ resident: -1 }, /"resident" -1/],
      [{ resident: 1.5 }, /"resident" 1.5/],
      [{ depth: 0 }, /"depth" 0/],
      [{ depth: NaN }, /"depth" NaN/],
      [{ experts: 0 }, /"experts" 0/],
      [{ experts: 8, depth: 2 }, /"experts" 8 and "depth" 2: either/],
      [{ experts: 8, resident: 0 }, /"experts" 8 and "resident" 0: either/],
    ] as const
  ) {
    assert.throws(() => weightOffload(options), {
      name: "RangeError",
      message,
    });
  }
});

Deno.test("weightOffload() brings experts one by one, unless whole layers are spoken of", async () => {
  const experts = { items: 20, most: 2, bytes: 900, slotBytes: 45 };
  const sizes = {
    ...SIZES,
    budget: 1000,
    experts: { ...experts, streaming: { disk: 5, host: 5 } },
  };
  const one = await place({}, sizes);
  assert.deepEqual(one.experts, { slots: 13, slotBytes: 45 });
  const whole = await place({ depth: 2 }, sizes);
  assert.ok(whole.experts === undefined && whole.streamed.length > 0);
  const all = await place({}, { ...sizes, budget: 1300 });
  assert.ok(all.experts === undefined && all.streamed.length === 0);
  assert.deepEqual(
    await place({ experts: 20 }, { ...sizes, budget: 1300 }),
    all,
  );
  await assert.rejects(
    () => place({ experts: 20 }, sizes),
    /10 of 10 layers that stay/,
  );
  await assert.rejects(
    () => place({ experts: 4 }, SIZES),
    /the model has none/,
  );
});
