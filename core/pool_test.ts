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

Deno.test("Pool.slideSlab() moves slots in use with their slab, and says so", () => {
  for (const step of [100, 50]) {
    const h = heap(16 + 4 * 300, 1, { base: 16 });
    const p = pool(h, 100, 3, step), other = pool(h, 300, 1);
    const gap = other.take();
    const slots = Array.from({ length: 5 }, () => p.take());
    p.give(slots.splice(1, 1)[0]!);
    other.give(gap);
    const moved = new Map<number, number>();
    const slabs = [...p.slabs].sort((a, b) => a.span.offset - b.span.offset);
    for (const slab of slabs) {
      p.slideSlab(slab, (from, to) => void moved.set(from, to));
    }
    p.check();
    h.check();
    assert.deepEqual([...moved.keys()].sort(), slots.sort());
    for (const [from, to] of moved) assert.equal(to, from - 300);
    assert.equal(h.stat().largestFree, 600);
    // Nothing is before them now.
    for (const slab of slabs) p.slideSlab(slab, () => assert.fail("moved"));
    for (const to of moved.values()) p.give(to);
    p.check();
    assert.equal(h.stat().used, 0);
  }
});

Deno.test("Pool.slideSlab() keeps books and slots apart over random moves", () => {
  const op = fc.record({ which: fc.nat(1), act: fc.nat(3), at: fc.nat() });
  fc.assert(
    fc.property(fc.array(op, { maxLength: 200 }), (ops) => {
      const h = heap(5000, 16);
      const pools = [pool(h, 112, 4), pool(h, 240, 1)];
      const held: number[][] = [[], []];
      for (const { which, act, at } of ops) {
        const p = pools[which]!, mine = held[which]!;
        if (act < 2) {
          const slot = p.take();
          if (slot >= 0) mine.push(slot);
        } else if (act === 2 && mine.length > 0) {
          p.give(mine.splice(at % mine.length, 1)[0]!);
        } else {
          const slabs = [...p.slabs];
          const slab = slabs[at % slabs.length];
          if (slab === undefined) continue;
          p.slideSlab(slab, (from, to) => {
            assert.ok(to < from && mine.includes(from));
            mine[mine.indexOf(from)] = to;
          });
        }
        p.check();
        h.check();
        const spans = held.flatMap((slots, w) =>
          slots.map((s) => [s, s + pools[w]!.slotBytes] as const)
        ).sort((a, b) => a[0] - b[0]);
        for (let i = 1; i < spans.length; i++) {
          assert.ok(spans[i - 1]![1] <= spans[i]![0]);
        }
      }
      for (const [w, slots] of held.entries()) {
        for (const slot of slots) pools[w]!.give(slot);
      }
      assert.equal(h.stat().used, 0);
    }),
    { numRuns: 100 },
  );
});

Deno.test("Pool.drain() empties the slab with the fewest slots, into free ones of others", () => {
  const h = heap(16 + 4 * 400, 1, { base: 16 });
  const p = pool(h, 100, 4);
  const slots = Array.from({ length: 16 }, () => p.take());
  const never = () => assert.fail("moved");
  p.give(slots[0]!);
  p.give(slots[5]!);
  p.give(slots[9]!);
  assert.equal(p.drain(9, never), 0, "others have no room for all of one");
  p.give(slots[8]!);
  const moved: number[] = [];
  const move = (from: number, to: number): void => {
    // Of the third slab, to the first two.
    assert.ok(from > slots[8]! && from <= slots[11]!, `${from}`);
    assert.ok([slots[0], slots[5]].includes(to));
    moved.push(to);
  };
  assert.equal(p.drain(1, move), 1);
  p.check();
  assert.equal(p.held, 1600);
  assert.equal(p.drain(9, move), 1, "goes on with the same");
  p.check();
  assert.equal(new Set(moved).size, 2);
  assert.deepEqual([p.held, p.spare], [1200, 0]);
  assert.equal(p.drain(9, never), 0);
  assert.ok(p.take() > 0);
  h.check();
});
