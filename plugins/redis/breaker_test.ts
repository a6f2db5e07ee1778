import assert from "node:assert/strict";
import { Breaker } from "./breaker.ts";

/** A breaker that opens after 3 failures, for 100, and a clock. */
function make() {
  const clock = { now: 0 };
  const breaker = new Breaker({
    failures: 3,
    pauseMs: 100,
    now: () => clock.now,
  });
  const fail = () => {
    clock.now++;
    return breaker.fail(clock.now);
  };
  return { breaker, clock, fail };
}

Deno.test("Breaker opens after so many failures in a row", () => {
  const { breaker, fail } = make();
  assert.equal(fail(), false);
  assert.equal(fail(), false);
  breaker.ok();
  assert.deepEqual([fail(), fail()], [false, false]);
  assert.equal(breaker.gate(), "ask");
  assert.equal(fail(), true);
  assert.equal(breaker.gate(), "no");
});

Deno.test("Breaker lets one question try when the pause is over", () => {
  const { breaker, clock, fail } = make();
  for (let i = 0; i < 3; i++) fail();
  clock.now += 99;
  assert.equal(breaker.gate(), "no");
  clock.now += 1;
  assert.equal(breaker.gate(), "try");
  assert.equal(breaker.gate(), "no", "one is enough");
  assert.equal(fail(), true, "it is open again");
  assert.equal(breaker.gate(), "no");
  clock.now += 100;
  assert.equal(breaker.gate(), "try");
  breaker.ok();
  assert.equal(breaker.gate(), "ask");
  assert.deepEqual([fail(), fail(), fail()], [false, false, true]);
});

Deno.test("Breaker counts what fails together once", () => {
  const { breaker, clock } = make();
  for (let round = 1; round <= 3; round++) {
    const asked = ++clock.now;
    clock.now += 5;
    const opens = Array.from({ length: 50 }, () => breaker.fail(asked));
    assert.equal(opens.filter((o) => o).length, round === 3 ? 1 : 0);
  }
  assert.ok(breaker.open);
});

Deno.test("Breaker's try is not ended by an old failure", () => {
  const { breaker, clock } = make();
  breaker.fail(0);
  const old = clock.now++;
  breaker.fail(clock.now++);
  breaker.fail(clock.now);
  clock.now += 100;
  assert.equal(breaker.gate(), "try");
  assert.equal(breaker.fail(old), false);
  assert.equal(breaker.gate(), "no", "the try is still under way");
  assert.equal(breaker.fail(clock.now), true);
});

Deno.test("Breaker opens at once when it is told to", () => {
  const { breaker, clock } = make();
  breaker.trip();
  assert.equal(breaker.gate(), "no");
  clock.now += 100;
  assert.equal(breaker.gate(), "try");
});
