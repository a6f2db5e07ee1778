import assert from "node:assert/strict";
import fc from "npm:fast-check@4.10.2";
import { framePages, PAGE, pageNames, Part } from "./pages.ts";
import { blockOf } from "./testing/open_tier.ts";

const TOTAL = 2 * PAGE + 1000;
const BLOCK = blockOf(1, TOTAL);

/** The part, or "lost" and nothing written. */
function fill(
  values: ReadonlyMap<string, Uint8Array>,
  at: number,
  length: number,
  total = TOTAL,
): Uint8Array | "lost" {
  const out = new Uint8Array(length);
  const part = new Part("b", total, at, length);
  if (part.fill(part.names.map((n) => values.get(n)), out)) return out;
  assert.ok(out.every((b) => b === 0), "it was written");
  return "lost";
}

Deno.test("Part reads any part of a block from no page more than it lies in", () => {
  const values = new Map(framePages("b", BLOCK));
  assert.deepEqual([...values.keys()], pageNames("b", TOTAL));
  const at = fc.integer({ min: 0, max: TOTAL });
  fc.assert(fc.property(at, at, (a, b) => {
    const from = Math.min(a, b), to = Math.max(a, b);
    const part = new Part("b", TOTAL, from, to - from);
    assert.ok(part.possible);
    const pages = to === from ? [] : pageNames("b", TOTAL).slice(
      Math.floor(from / PAGE),
      Math.ceil(to / PAGE),
    );
    assert.deepEqual(part.names, pages);
    assert.deepEqual(fill(values, from, to - from), BLOCK.slice(from, to));
  }));
});

Deno.test("Part has pages of all lengths, whole ones and the last", () => {
  for (const bytes of [1, PAGE - 1, PAGE, PAGE + 1, 2 * PAGE]) {
    const block = blockOf(bytes, bytes);
    const values = new Map(framePages("b", block));
    assert.equal(values.size, Math.ceil(bytes / PAGE));
    assert.deepEqual(fill(values, 0, bytes, bytes), block);
    assert.deepEqual(
      fill(values, bytes - 1, 1, bytes),
      block.slice(bytes - 1),
    );
  }
});

Deno.test("Part is impossible before and beyond a block", () => {
  for (const [at, length] of [[-1, 5], [TOTAL, 1], [TOTAL - 5, 6], [1e9, 1]]) {
    assert.ok(!new Part("b", TOTAL, at!, length!).possible, `${at}`);
  }
  assert.ok(new Part("b", TOTAL, TOTAL - 5, 5).possible);
});

Deno.test("Part is lost with any page that is missing or not exactly right", () => {
  const other = new Map(framePages("other", blockOf(2, TOTAL)));
  const longer = new Map(framePages("b", blockOf(1, TOTAL + 1)));
  const all = pageNames("b", TOTAL);
  const good = new Map(framePages("b", BLOCK));
  const wrong: Record<string, (i: number) => Uint8Array | undefined> = {
    missing: () => undefined,
    flipped: (i) => {
      const value = good.get(all[i]!)!.slice();
      value[200]! ^= 4;
      return value;
    },
    "of another block": (i) => [...other.values()][i],
    "of another page": (i) => good.get(all[(i + 1) % 2]!),
    cut: (i) => good.get(all[i]!)!.subarray(0, 500),
  };
  for (const [says, value] of Object.entries(wrong)) {
    for (const [i, name] of all.entries()) {
      const values = new Map(good);
      const bad = value(i);
      if (bad === undefined) values.delete(name);
      else values.set(name, bad);
      assert.equal(fill(values, 0, TOTAL), "lost", `${says}: ${i}`);
      for (const [j] of all.entries()) {
        const found = fill(values, j * PAGE + 10, 100);
        if (j === i) assert.equal(found, "lost", `${says}: ${i}`);
        else assert.ok(found instanceof Uint8Array, `${says}: ${i}, ${j}`);
      }
    }
  }
  // The last page of a block of another length has a right frame.
  good.set(all[2]!, longer.get(all[2]!)!);
  assert.equal(fill(good, 2 * PAGE, 100), "lost");
});
