import assert from "node:assert/strict";
import { fuzz } from "./crew.ts";
import { AllocationGuard } from "./guard.ts";
import { Inputs } from "./inputs.ts";
import { summary } from "./summary.ts";
import { removeSampleFolder } from "./temp_folder.ts";
import { TARGETS } from "./targets.ts";
import { emptyTally, tryInput } from "./trial.ts";

const SEED = 20_240, COUNT = 6000;

Deno.test("bent files of every kind are refused, or are what they say", async () => {
  const inputs = await Inputs.open(SEED, TARGETS);
  const tally = emptyTally();
  {
    using guard = new AllocationGuard();
    for (let i = 0; i < COUNT && tally.defects.length < 3; i++) {
      await tryInput(inputs, i, guard, tally);
    }
  }
  removeSampleFolder();
  assert.deepEqual(tally.defects, [], summary(SEED, COUNT, 1, tally));
  for (const { name } of TARGETS) {
    const { accepted, refused } = tally.targets[name]!;
    assert.ok(accepted > 0, `${name}: none accepted`);
    assert.ok(refused > accepted / 10, `${name}: ${refused} refused`);
  }
  assert.ok(tally.run > 10 && tally.loaded > 0);
  assert.ok(Object.keys(tally.reasons).length > 50);
});

Deno.test("an input is the same, whatever was tried before it", async () => {
  const targets = TARGETS.slice(0, 2);
  const one = await Inputs.open(1, targets),
    two = await Inputs.open(1, targets);
  one.at(3);
  for (const index of [99, 5]) {
    const a = one.at(index), b = two.at(index);
    assert.equal(a.target.name, b.target.name);
    assert.deepEqual([...a.sample], [...b.sample]);
  }
  assert.notDeepEqual([...one.at(6).sample], [...one.at(7).sample]);
});

for (
  const [name, says] of [
    ["endless", /no end after 3000 ms/],
    ["greedy", /^Finding: Uint8Array of \d+ bytes, at most \d+ are expected/],
    ["crashing", /^RangeError: out of range/],
    ["lenient", /^Finding: accepted, and is not 7/],
  ] as const
) {
  Deno.test(`fuzz() finds a reader that is ${name}, and goes on`, async () => {
    const { tried, tally } = await fuzz({
      seed: 1,
      targets: [name],
      workers: 2,
      // One endless input of two workers is enough to wait for.
      ...name === "endless" ? { count: 40, patience: 3000 } : { count: 1000 },
    });
    assert.ok(tally.defects.length > 0);
    for (const { what } of tally.defects) assert.match(what, says);
    if (name !== "endless") assert.equal(tried, 1000);
    const [{ index }] = tally.defects as [typeof tally.defects[number]];
    assert.ok(summary(1, tried, 1, tally).includes(`--seed 1 --at ${index}`));
  });
}

Deno.test("AllocationGuard sees every kind of array, and leaves nothing behind", () => {
  const own = globalThis.Float32Array;
  {
    using guard = new AllocationGuard();
    guard.expect(1000);
    for (
      const make of [
        () => new Uint8Array(1 << 26),
        () => new Float32Array(1 << 24),
        () => new ArrayBuffer(1 << 26),
        () => new Array(1 << 24),
        () => Array.from({ length: 1 << 24 }),
        () => "long".repeat(1 << 24),
      ]
    ) assert.throws(make, /bytes, at most/);
    assert.ok(new Float32Array(8) instanceof own);
    assert.equal(guard.largest, 32);
  }
  assert.equal(globalThis.Float32Array, own);
  assert.equal(new Uint8Array(1 << 26).length, 1 << 26);
});
