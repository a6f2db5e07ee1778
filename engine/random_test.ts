import assert from "node:assert/strict";
import { randomSeed, seeded } from "./random.ts";

Deno.test("seeded() gives the same numbers for the same seed, on every machine", () => {
  const next = seeded(42);
  const first = Array.from({ length: 4 }, next);
  assert.deepEqual(first, Array.from({ length: 4 }, seeded(42)));
  assert.deepEqual(first.map((x) => x * 2 ** 32), [
    551831576,
    144025891,
    322543647,
    3034809370,
  ]);
  assert.notDeepEqual(first, Array.from({ length: 4 }, seeded(43)));
});

Deno.test("seeded() is spread evenly, and no number follows from the one before", () => {
  for (const seed of [0, 1, 2 ** 31, 2 ** 32 - 1]) {
    const next = seeded(seed), n = 40_000, cells = 20;
    const single = new Float64Array(cells),
      pairs = new Float64Array(cells ** 2);
    let before = next();
    for (let i = 0; i < n; i++) {
      const x = next();
      assert.ok(x >= 0 && x < 1);
      single[Math.floor(x * cells)]!++;
      pairs[Math.floor(before * cells) * cells + Math.floor(x * cells)]!++;
      before = x;
    }
    const chi = (counts: Float64Array): number => {
      const want = n / counts.length;
      return counts.reduce((s, c) => s + (c - want) ** 2 / want, 0);
    };
    // Mean k - 1, standard deviation √(2(k - 1)); five of them.
    for (const counts of [single, pairs]) {
      const k = counts.length - 1;
      assert.ok(chi(counts) < k + 5 * Math.sqrt(2 * k), `${seed}`);
    }
  }
});

Deno.test("randomSeed() is a whole number that seeded() takes, another each time", () => {
  const seeds = new Set(Array.from({ length: 20 }, randomSeed));
  assert.ok(seeds.size > 15);
  for (const seed of seeds) {
    assert.ok(Number.isInteger(seed) && seed >= 0 && seed < 2 ** 32);
  }
});

Deno.test("seeded() goes on where so many numbers were drawn", () => {
  for (const seed of [0, 7, 2 ** 31, 2 ** 53 - 1]) {
    const whole = Array.from({ length: 50 }, seeded(seed));
    for (const drawn of [0, 1, 20, 49]) {
      assert.deepEqual(
        Array.from({ length: 50 - drawn }, seeded(seed, drawn)),
        whole.slice(drawn),
      );
    }
  }
});
