import assert from "node:assert/strict";
import { shareOfOthers, waitQuiet, watchOthers } from "./machine.ts";

Deno.test("shareOfOthers() leaves out what this process used", () => {
  const before = { busy: 100, all: 1000, own: 50 };
  const now = { busy: 700, all: 2000, own: 550 };
  assert.equal(shareOfOthers(before, now), 0.1);
  assert.equal(shareOfOthers(before, before), 0);
  // Clocks of different ticks may disagree a little.
  assert.equal(shareOfOthers(before, { busy: 110, all: 1020, own: 65 }), 0);
});

Deno.test({
  name: "watchOthers() and waitQuiet() know nothing without the permission",
  permissions: { sys: false },
  fn: async () => {
    assert.equal(watchOthers()(), undefined);
    assert.equal(await waitQuiet(60), undefined);
  },
});
