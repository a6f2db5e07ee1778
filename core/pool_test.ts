import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { heap } from "./heap.ts";
import { pool } from "./pool.ts";

Deno.test("pool() takes slabs when needed and gives empty ones back", () => {
  const h = heap(16 + 4 * 300, 1, { base: 16 });
  const p = pool(h, 100, 3);
  const slots = Array.from({ length: 12 }, () => p.take());
  assert.equal(new Set(slots).size, 12);
  assert.equal(p.take(), -1);
  assert.equal(p.alloc(100), undefined);
  assert.equal(p.held, 1200);
  for (const s of slots) p.give(s);
  p.check();
  assert.equal(p.held, 0);
  assert.equal(h.stat().used, 0);
});

Deno.test("pool() refuses slots that are not taken", () => {
  const p = pool(heap(1000, 1), 10, 2);
  const slot = p.take();
  assert.throws(() => p.give(slot + 10), TypeError);
  assert.throws(() => p.free({ offset: slot, bytes: 11 }), TypeError);
  p.give(slot);
  assert.throws(() => p.give(slot), TypeError);
  assert.throws(() => p.alloc(11), RangeError);
  assert.throws(() => pool(heap(100, 1), 0, 1), RangeError);
  assert.throws(() => pool(heap(100, 1), 1, 0), RangeError);
});

Deno.test("two pools over one heap keep their books over random operations", () => {
  const op = fc.record({ which: fc.nat(1), take: fc.boolean(), at: fc.nat() });
  fc.assert(
    fc.property(fc.array(op, { maxLength: 200 }), (ops) => {
      const h = heap(5000, 16);
      const pools = [pool(h, 112, 4), pool(h, 240, 1)];
      const held: number[][] = [[], []];
      for (const { which, take, at } of ops) {
        const p = pools[which]!;
        const mine = held[which]!;
        if (take) {
          const slot = p.take();
          if (slot >= 0) mine.push(slot);
          else assert.ok(h.stat().largestFree < [448, 240][which]!);
        } else if (mine.length > 0) {
          p.give(mine.splice(at % mine.length, 1)[0]!);
        }
        p.check();
        h.check();
        assert.equal(p.stat().used, mine.length * p.slotBytes);
      }
      const spans = held.flatMap((slots, w) =>
        slots.map((s) => [s, s + pools[w]!.slotBytes] as const)
      ).sort((a, b) => a[0] - b[0]);
      for (let i = 1; i < spans.length; i++) {
        assert.ok(spans[i - 1]![1] <= spans[i]![0]);
      }
    }),
    { numRuns: 100 },
  );
});
