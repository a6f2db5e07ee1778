import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import type { Span } from "./allocator.ts";
import { arena } from "./arena.ts";

Deno.test("arena() frees what came after a mark", () => {
  const a = arena(100, 16);
  a.alloc(10);
  const mark = a.mark();
  a.alloc(40);
  assert.equal(a.alloc(40), undefined);
  a.reset(mark);
  assert.equal(a.stat().used, 16);
  assert.equal(a.peak, 64);
  a.check();
  a.reset();
  assert.equal(a.stat().largestFree, 96);
  assert.throws(() => a.reset(1), RangeError);
  assert.throws(() => a.alloc(0), RangeError);
  assert.throws(() => arena(10, 0), RangeError);
});

Deno.test("arena() refuses spans it did not hand out, and spans freed twice", () => {
  const a = arena(1000, 8);
  const first = a.alloc(8)!;
  const second = a.alloc(8)!;
  a.free(first);
  assert.throws(() => a.free(first), TypeError);
  assert.throws(() => a.free({ offset: 4, bytes: 8 }), TypeError);
  assert.equal(a.stat().used, 16);
  a.free(second);
  assert.equal(a.stat().used, 0);
  assert.throws(() => a.free(second), TypeError);
});

Deno.test("arena() keeps its books over random operations", () => {
  const op = fc.oneof(
    fc.record({ take: fc.integer({ min: 1, max: 200 }) }),
    fc.record({ give: fc.nat() }),
    fc.record({ reset: fc.nat() }),
  );
  fc.assert(
    fc.property(fc.array(op, { maxLength: 100 }), (ops) => {
      const a = arena(4000, 16);
      let held: Span[] = [];
      for (const o of ops) {
        if ("take" in o) {
          const span = a.alloc(o.take);
          if (span) held.push(span);
        } else if ("give" in o) {
          if (held.length > 0) a.free(held.splice(o.give % held.length, 1)[0]!);
        } else {
          const mark = held[o.reset % (held.length + 1)]?.offset ?? a.mark();
          a.reset(mark);
          held = held.filter((s) => s.offset < mark);
        }
        a.check();
        const asked = held.reduce((sum, s) => sum + s.bytes, 0);
        assert.equal(a.stat().requested, asked);
        const top = held.reduce((t, s) => Math.max(t, s.offset + s.bytes), 0);
        assert.equal(a.stat().used, Math.ceil(top / 16) * 16);
      }
    }),
    { numRuns: 150 },
  );
});
