import assert from "node:assert/strict";
import { batchRates, perSecond, rateBetween } from "./speed_timing.ts";

Deno.test("rateBetween() counts intervals, not tokens", () => {
  const times = [100, 110, 120, 130, 330];
  assert.equal(rateBetween(times, 0, 3), 100);
  assert.equal(rateBetween(times, 3, 4), 5);
  assert.equal(rateBetween(times), 4000 / 230);
});

Deno.test("perSecond() stays finite where the clock has not moved", () => {
  assert.ok(Number.isFinite(perSecond(8, 0)));
  assert.equal(perSecond(0, 0), 0);
});

Deno.test("batchRates() of one request: all tokens over all, the rest over the rest", () => {
  assert.deepEqual(batchRates([[500, 750, 1000]]), { all: 3, decoding: 4 });
});

Deno.test("batchRates() looks at the time in which all decode", () => {
  // The second begins at 200 and the first ends at 400: 300 and 400 of the
  // first, 300 and 400 of the second lie between.
  const { all, decoding } = batchRates([
    [100, 200, 300, 400],
    [200, 300, 400, 500],
  ]);
  assert.equal(decoding, 20);
  assert.equal(all, 16);
});

Deno.test("batchRates() of requests that never decode together falls back to all", () => {
  const { all, decoding } = batchRates([[100, 200], [300, 400]]);
  assert.equal(all, 10);
  assert.equal(decoding, 10);
});
