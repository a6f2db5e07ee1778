import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { needed, visible } from "./ranges.ts";
import { probe, Sight } from "./sight.ts";
import type { Retention } from "./slots.ts";
import {
  fakePlan,
  windowPlugin,
  windowRetention,
} from "./testing/fake_plan.ts";

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
      // Two windows may leave two pieces of the sinks for a while.
      if (rows.some((row) => edges(row) > (row[0] ? 2 : 3))) {
        assert.throws(() => sight.start(0), TypeError);
        return;
      }
      for (const [q, row] of rows.entries()) {
        for (const [p, seen] of row.entries()) {
          const says = (p >= sight.first(q) && p < sight.sink(q)) ||
            p >= sight.start(q);
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

Deno.test("Sight.back() turns queries beyond the least reach back to it, where they see sinks", () => {
  const sight = new Sight([
    windowRetention(10, 2, 40),
    windowRetention(12, 5, 30),
    windowRetention(30, 9),
  ]);
  for (
    const [query, back] of [[0, 0], [29, 0], [30, 1], [31, 2], [5000, 4971]]
  ) {
    assert.equal(sight.back(query!), back, `query ${query}`);
  }
  assert.equal(new Sight([windowRetention(10, 2)]).back(100), 0);
  assert.equal(
    new Sight([windowRetention(10, 0, 30)]).back(100),
    0,
    "no sinks",
  );
  assert.equal(new Sight([]).back(100), 0);
  // Sinks and window meet up to query 12: nothing is far there.
  const early = new Sight([windowRetention(10, 3, 5)]);
  assert.deepEqual([12, 13].map((q) => early.sink(q)), [0, 3]);
  assert.deepEqual([12, 13].map((q) => early.back(q)), [0, 9]);
});

Deno.test("probe() tells retentions of another reach apart", () => {
  const of = (reach?: number): string => probe([windowRetention(9, 3, reach)]);
  const all = [of(), of(4096), of(4097), of(1 << 22), of((1 << 22) + 1)];
  assert.equal(new Set(all).size, all.length);
  assert.equal(of(4096), probe([windowRetention(9, 3, 4096)]));
  for (const reach of [0, -1, 1.5, NaN, Infinity]) {
    assert.throws(
      () => of(reach),
      /"window\/9\/3" has reach .*: a whole number/,
    );
  }
});

Deno.test("a reach is part of groups and of the plan's fingerprint", async () => {
  const plan = async (...reaches: (number | undefined)[]) =>
    (await fakePlan(
      reaches.map((reach, i) => ({
        ...windowPlugin(9, 3, ({ layer }) => layer === i, reach),
        name: `window of layer ${i}`,
      })),
    )).plan;
  const prints = await Promise.all([
    plan(undefined, undefined),
    plan(50, 50),
    plan(51, 51),
  ]);
  assert.deepEqual(prints.map((p) => p.groups.length), [1, 1, 1]);
  assert.equal(new Set(prints.map((p) => p.fingerprint)).size, 3);
  const { groups } = await plan(50, 51);
  assert.deepEqual(groups.map((g) => g.sight.back(100)), [51, 50]);
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
