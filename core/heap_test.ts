import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import type { Span } from "./allocator.ts";
import { heap } from "./heap.ts";

Deno.test("heap() never hands out offset 0, nor an offset below base", () => {
  assert.equal(heap(1024, 16).alloc(1)!.offset, 16);
  assert.equal(heap(1024, 16, { base: 100 }).alloc(1)!.offset, 112);
});

Deno.test("heap() hands out exactly what stat() calls largestFree", () => {
  const h = heap(1 << 20, 8);
  const held = Array.from({ length: 50 }, (_, i) => h.alloc(1000 + 37 * i)!);
  for (let i = 0; i < 50; i += 3) h.free(held[i]!);
  for (let n = h.stat().largestFree; n > 0; n = h.stat().largestFree) {
    assert.equal(h.alloc(n + 1), undefined);
    assert.ok(h.alloc(n));
    h.check();
  }
});

Deno.test("heap() joins everything again once all is free", () => {
  const h = heap(65536, 16);
  const all: Span[] = [];
  for (let s = h.alloc(100); s; s = h.alloc(100)) all.push(s);
  assert.equal(all.length, Math.floor((65536 - 16) / 112));
  for (const [i, s] of all.entries()) if (i % 2) h.free(s);
  for (const [i, s] of all.entries()) if (i % 2 === 0) h.free(s);
  h.check();
  assert.deepEqual(h.stat(), {
    capacity: 65520,
    used: 0,
    requested: 0,
    largestFree: 65520,
  });
});

Deno.test("heap() refuses spans it did not hand out, and spans freed twice", () => {
  const h = heap(1024, 16);
  const s = h.alloc(10)!;
  assert.throws(() => h.free({ offset: s.offset + 16, bytes: 10 }), TypeError);
  assert.throws(() => h.free({ offset: s.offset, bytes: 11 }), TypeError);
  h.free(s);
  assert.throws(() => h.free(s), TypeError);
  h.check();
});

Deno.test("heap() refuses sizes and alignments that make no sense", () => {
  for (const bytes of [0, -1, NaN, 1.5, Infinity]) {
    assert.throws(() => heap(1024, 16).alloc(bytes), RangeError);
  }
  for (const align of [0, 3, -8, 1.5, NaN]) {
    assert.throws(() => heap(1024, align), RangeError);
  }
  assert.throws(() => heap(1024, 16).grow(512), RangeError);
  assert.throws(() => heap(1024, 16).grow(NaN), RangeError);
  assert.throws(() => heap(2 ** 40, 16), RangeError);
  assert.equal(heap(0, 16).alloc(1), undefined);
  assert.equal(heap(0, 16).stat().largestFree, 0);
});

Deno.test("heap() manages spaces of many gigabytes", () => {
  const h = heap(30 * 2 ** 30, 16);
  const a = h.alloc(20 * 2 ** 30)!;
  const b = h.alloc(9 * 2 ** 30)!;
  assert.equal(h.alloc(2 ** 30), undefined);
  h.check();
  h.free(a);
  h.free(b);
  h.check();
  assert.equal(h.stat().largestFree, 30 * 2 ** 30 - 16);
});

Deno.test("Heap.grow() makes room behind a taken and behind a free end", () => {
  const h = heap(64, 16);
  const a = h.alloc(48)!;
  assert.equal(h.alloc(16), undefined);
  h.grow(128);
  assert.equal(h.stat().largestFree, 64);
  h.grow(256);
  h.check();
  assert.equal(h.alloc(192)!.offset, 64);
  h.free(a);
  h.check();
});

Deno.test("heap() keeps its books over random operations", () => {
  const op = fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({ take: fc.integer({ min: 1, max: 3000 }) }),
    },
    { weight: 5, arbitrary: fc.record({ give: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ grow: fc.nat(5000) }) },
    { weight: 4, arbitrary: fc.record({ slide: fc.nat() }) },
  );
  fc.assert(
    fc.property(
      fc.array(op, { maxLength: 150 }),
      fc.constantFrom(1, 8, 64),
      (ops, align) => {
        let capacity = 20_000;
        const h = heap(capacity, align);
        const held: Span[] = [];
        for (const o of ops) {
          if ("take" in o) {
            const could = h.stat().largestFree >= o.take;
            const span = h.alloc(o.take);
            assert.equal(span !== undefined, could);
            if (span) {
              assert.equal(span.offset % align, 0);
              const end = span.offset + span.bytes;
              assert.ok(span.offset > 0 && end <= capacity);
              for (const s of held) {
                assert.ok(s.offset >= end || s.offset + s.bytes <= span.offset);
              }
              held.push(span);
            }
          } else if ("give" in o) {
            if (held.length === 0) continue;
            h.free(held.splice(o.give % held.length, 1)[0]!);
          } else if ("slide" in o) {
            if (held.length === 0) continue;
            const span = held.splice(o.slide % held.length, 1)[0]!;
            // To the end of what comes before it, in units.
            const floor = held.filter((s) => s.offset < span.offset)
              .map((s) => s.offset + Math.ceil(s.bytes / align) * align)
              .reduce((end, s) => Math.max(end, s), align as number);
            const { used, requested } = h.stat();
            const now = h.slide(span);
            assert.deepEqual(now, { offset: floor, bytes: span.bytes });
            assert.deepEqual([h.stat().used, h.stat().requested], [
              used,
              requested,
            ]);
            held.push(now);
          } else h.grow(capacity += o.grow);
          h.check();
        }
        const asked = held.reduce((sum, s) => sum + s.bytes, 0);
        assert.equal(h.stat().requested, asked);
      },
    ),
    { numRuns: 150 },
  );
});

Deno.test("Heap.slide() of every span in turn makes one run of all that is free", () => {
  const h = heap(1 << 16, 16);
  let held: Span[] = [];
  for (let i = 0; i < 60; i++) held.push(h.alloc(100 + 53 * (i % 7))!);
  for (let i = 0; i < 60; i += 2) h.free(held[i]!);
  held = held.filter((_, i) => i % 2 === 1).map((s) => h.slide(s));
  h.check();
  const { capacity, used, largestFree } = h.stat();
  assert.equal(largestFree, capacity - used);
  assert.deepEqual(h.slide(held[0]!), held[0], "nothing is before it");
  assert.throws(() => h.slide({ offset: 99, bytes: 1 }), TypeError);
  for (const s of held) h.free(s);
  assert.equal(h.stat().used, 0);
});
