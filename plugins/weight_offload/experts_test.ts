import assert from "node:assert/strict";
import { dice } from "../../core/testing/cache_driver.ts";
import type { WeightSizes } from "../../core/weight_plan.ts";
import { placeExperts, type WantedExperts } from "./experts.ts";

/** Four layers of eight experts of 100 bytes each and 50 bytes besides. */
const SIZES: WeightSizes = {
  budget: 4000,
  layers: Array(4).fill(850),
  fixed: 300,
  output: 300,
  steps: [{ rows: 256, bytes: 10 }, { rows: 512, bytes: 60 }],
  streaming: { disk: 0, host: 0 },
  experts: {
    items: 32,
    most: 8,
    bytes: 3200,
    slotBytes: 100,
    streaming: { disk: 40, host: 20 },
  },
  leastKv: 30,
  contextKv: 90,
};

const place = (
  budget: number,
  experts?: number,
  from: WantedExperts["from"] = "disk",
) => placeExperts({ from, experts }, { ...SIZES, budget });

Deno.test("placeExperts() lets all stay that fit, and else as many as do", () => {
  // 500 stay in any case, 10 and 90 are for steps and K and V.
  assert.equal(place(3800), undefined);
  const most = place(3799)!;
  assert.deepEqual(most.experts, { slots: 31, slotBytes: 100 });
  assert.deepEqual([most.streamed, most.depth, most.from], [[], 0, "disk"]);
  assert.equal(place(640 + 1299)!.experts!.slots, 12);
  assert.equal(place(620 + 1200, undefined, "host")!.experts!.slots, 12);
  assert.equal(place(640 + 800)!.experts!.slots, 8);
  assert.match(
    place(640 + 800)!.notes.join(),
    /8 of 32 experts are there at once, as many as fit.*may need 8 of a layer/,
  );
  assert.equal(place(9999, 20)!.experts!.slots, 20);
  assert.equal(place(9999, 32), undefined);
});

Deno.test("placeExperts() gives K and V what is left beside one layer's experts", () => {
  const tight = place(640 + 799)!;
  assert.equal(tight.experts!.slots, 8);
  assert.match(tight.notes[0]!, /K and V get the rest/);
  assert.equal(place(500 + 10 + 40 + 30 + 800)!.experts!.slots, 8);
  assert.throws(() => place(500 + 10 + 40 + 30 + 799), {
    name: "RangeError",
    message:
      /in a "budget" of 1379 bytes: 580 are taken \(500 of weights that always stay, 10 of working memory, 40 to bring experts with, 30 of K and V\), which leaves 799; 8 slots of 100, as many as a step may need of a layer's experts, take 800: raise it, or lower "chunk"$/,
  });
  assert.throws(
    () => place(1500, 20),
    /20 slots of 100, take 2000: .* or "experts"$/,
  );
  for (const experts of [7, 33]) {
    assert.throws(
      () => place(9999, experts),
      new RegExp(`"experts" ${experts}: a step may need 8 .* there are 32`),
    );
  }
});

Deno.test("placeExperts() takes larger steps where that costs few slots", () => {
  // 50 bytes more are half a slot of 20, and of 8.
  assert.equal(place(640 + 2060)!.rows, 512);
  assert.equal(place(640 + 2000)!.rows, 512);
  assert.equal(place(640 + 2000)!.experts!.slots, 19);
  assert.equal(place(640 + 800)!.rows, 256);
  assert.equal(place(640 + 860)!.rows, 512);
  assert.equal(place(640 + 1000)!.rows, 256);
});

Deno.test("placeExperts() never takes more than there is, in a random world", () => {
  const roll = dice(4), seen = new Set<string>();
  for (let i = 0; i < 500; i++) {
    const most = 1 + roll(12),
      layers = 1 + roll(6),
      slotBytes = 64 * (1 + roll(9));
    const items = most * layers, rest = 64 * roll(9);
    const sizes: WeightSizes = {
      ...SIZES,
      budget: Math.floor(items * slotBytes * (roll(16) + 1) / 10),
      layers: Array(layers).fill(most * slotBytes + rest),
      fixed: 64 * roll(20),
      experts: {
        ...SIZES.experts!,
        items,
        most,
        slotBytes,
        bytes: items * slotBytes,
      },
    };
    const experts = roll(3) === 0 ? most + roll(items - most + 1) : undefined;
    const { budget, fixed, leastKv, contextKv } = sizes;
    const stays = fixed + layers * rest;
    try {
      const plan = placeExperts({ from: "disk", experts }, sizes);
      if (plan === undefined) {
        seen.add("all");
        if (experts === undefined) {
          assert.ok(stays + items * slotBytes + 10 + contextKv <= budget);
        }
        continue;
      }
      const { slots } = plan.experts!;
      const { bytes } = sizes.steps.find((s) => s.rows === plan.rows)!;
      assert.ok(slots >= most && slots < items);
      const taken = stays + slots * slotBytes + bytes + 40;
      const tight = /get the rest/.test(plan.notes[0]!);
      seen.add(tight ? "tight" : "some");
      assert.ok(taken + (tight ? leastKv : contextKv) <= budget);
      // One more would have been too many, or was not asked for.
      if (experts === undefined && !tight && slots < items - 1) {
        assert.ok(
          slots >= 0.95 * Math.floor((budget - stays - 140) / slotBytes),
        );
      }
    } catch (error) {
      assert.ok(error instanceof RangeError, String(error));
      assert.match(error.message, /are taken .* raise it/);
      seen.add("none");
      assert.ok(
        stays + (experts ?? most) * slotBytes + 10 + 40 + leastKv > budget,
      );
    }
  }
  assert.equal(seen.size, 4, `${[...seen]}`);
});
