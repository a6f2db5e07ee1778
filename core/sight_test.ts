import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { needed, visible } from "./ranges.ts";
import { probe, Sight } from "./sight.ts";
import type { Retention } from "./slots.ts";
import { windowRetention } from "./testing/fake_plan.ts";

/** How often what is seen changes to unseen or back along the positions. */
function edges(seen: readonly boolean[]): number {
  return seen.filter((x, p) => p > 0 && x !== seen[p - 1]).length;
}

Deno.test("Sight says what the retentions' ranges say, or refuses", () => {
  const rule = fc.record({
    window: fc.integer({ min: 1, max: 60 }),
    sinks: fc.integer({ min: 0, max: 20 }),
  });
  fc.assert(
    fc.property(fc.array(rule, { maxLength: 3 }), (rules) => {
      const all = rules.map((r) => windowRetention(r.window, r.sinks));
      const rows = Array.from({ length: 150 }, (_, q) => {
        const row = new Array<boolean>(q + 1).fill(false);
        for (const r of visible(all, q)) row.fill(true, r.start, r.end);
        return row;
      });
      const sight = new Sight(all);
      // Two windows may leave a piece of the sinks in the middle for a while.
      if (rows.some((row) => edges(row) > (row[0] ? 2 : 1))) {
        assert.throws(() => sight.start(0), TypeError);
        return;
      }
      for (const [q, row] of rows.entries()) {
        for (const [p, seen] of row.entries()) {
          const says = p < sight.sink(q) || p >= sight.start(q);
          assert.equal(says, seen, `${p} at ${q}`);
        }
      }
    }),
    { numRuns: 100 },
  );
});

Deno.test("Sight reads positions far apart and out of order", () => {
  const sight = new Sight([windowRetention(10, 2)]);
  assert.deepEqual([sight.start(100_000), sight.sink(100_000)], [99_991, 2]);
  assert.deepEqual([sight.start(5), sight.sink(5)], [0, 0]);
});

Deno.test("needed() keeps the retention law", () => {
  const rules = [windowRetention(9, 3), windowRetention(20)];
  for (let q = 0; q < 60; q++) {
    for (const r of visible(rules, q)) {
      for (let p = r.start; p < r.end; p++) {
        for (let length = p + 1; length <= q; length++) {
          const has = needed(rules, length).some((n) =>
            n.start <= p && p < n.end
          );
          assert.ok(has, `${p} is seen at ${q}, not needed at ${length}`);
        }
      }
    }
  }
});

function refused(id: string, see: Retention["visible"], message: RegExp): void {
  Deno.test(`probe() refuses a retention that ${id}`, () => {
    assert.throws(() => probe([{ id, visible: see }]), (e) => {
      assert.ok(e instanceof TypeError);
      assert.match(e.message, message);
      return true;
    });
  });
}
refused("sees nothing", () => [], /query 0 sees nothing/);
refused("does not see itself", (q) => [{ start: 0, end: q }], /query 0/);
refused(
  "has two gaps",
  (q) =>
    q < 9
      ? [{ start: 0, end: q + 1 }]
      : [{ start: 0, end: 1 }, { start: 3, end: 4 }, { start: q, end: q + 1 }],
  /query 9 sees \[0, 1\) \[3, 4\) \[9, 10\)/,
);
refused(
  "brings positions back",
  (q) => [{ start: q === 7 ? 5 : q === 6 ? 6 : 0, end: q + 1 }],
  /may not come back/,
);
refused(
  "grows its sinks",
  (q) => [{ start: 0, end: q >> 2 }, { start: q, end: q + 1 }],
  /may not come back/,
);
