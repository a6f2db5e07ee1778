import assert from "node:assert/strict";
import type { RopeSpec } from "../model.ts";
import { rope } from "./rope.ts";

const plain: RopeSpec = {
  style: "neighbours",
  base: 10000,
  divide: 1,
  dims: 4,
};

function turned(
  x: readonly number[],
  position: number,
  spec: Partial<RopeSpec>,
  factors?: Float32Array,
): number[] {
  const out = new Float32Array(x);
  rope(
    out,
    x.length,
    new Int32Array([position]),
    { ...plain, ...spec },
    factors,
  );
  return [...out];
}

function pair(x: number, y: number, angle: number): [number, number] {
  const c = Math.cos(angle);
  const s = Math.sin(angle);
  return [Math.fround(x * c - y * s), Math.fround(x * s + y * c)];
}

Deno.test("rope() turns neighbours", () => {
  const want = [...pair(1, 2, 7), ...pair(3, 4, 0.07)];
  assert.deepEqual(turned([1, 2, 3, 4], 7, {}), want);
});

Deno.test("rope() turns halves and passes the rest of the head through", () => {
  const [a, c] = pair(1, 3, 7);
  const [b, d] = pair(2, 4, 0.07);
  assert.deepEqual(turned([1, 2, 3, 4, 5, 6], 7, { style: "halves" }), [
    a,
    b,
    c,
    d,
    5,
    6,
  ]);
});

Deno.test("rope() divides positions and frequencies", () => {
  const want = [...pair(1, 2, 7 / 8 / 2), ...pair(3, 4, 0.07 / 8 / 5)];
  assert.deepEqual(
    turned([1, 2, 3, 4], 7, { divide: 8 }, new Float32Array([2, 5])),
    want,
  );
});

Deno.test("rope() turns every head of a row alike and leaves position 0 alone", () => {
  const x = new Float32Array([1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4, 1, 2, 3, 4]);
  rope(x, 4, new Int32Array([0, 5]), plain);
  assert.deepEqual([...x.subarray(0, 8)], [1, 2, 3, 4, 1, 2, 3, 4]);
  assert.deepEqual([...x.subarray(8, 12)], turned([1, 2, 3, 4], 5, {}));
  assert.deepEqual(x.slice(8, 12), x.slice(12, 16));
});

Deno.test("rope() keeps its angle at far positions", () => {
  const far = 1_000_003;
  const want = [...pair(1, 0, far), ...pair(1, 0, far * 0.01)];
  assert.deepEqual(turned([1, 0, 1, 0], far, {}), want);
});

Deno.test("rope() refuses odd dims, dims beyond the head and too few factors", () => {
  assert.throws(() => turned([1, 2, 3, 4], 1, { dims: 3 }), RangeError);
  assert.throws(() => turned([1, 2], 1, {}), /4 of 2 values/);
  assert.throws(
    () => turned([1, 2, 3, 4], 1, {}, new Float32Array(1)),
    /with 1 factors/,
  );
});

Deno.test("rope() takes factors by value, and a magnitude of what turns", () => {
  const x = Float32Array.of(1, 2, 3, 4, 5, 6), y = x.slice();
  const plain = { style: "halves", base: 10, divide: 1, dims: 4 } as const;
  const at = Int32Array.of(3);
  // The first pair as at three times the position; the second as it was.
  rope(x, 6, at, { ...plain, magnitude: 2 }, [1 / 3, 1]);
  const turned = (a: number, b: number, angle: number) => [
    2 * (a * Math.cos(angle) - b * Math.sin(angle)),
    2 * (a * Math.sin(angle) + b * Math.cos(angle)),
  ];
  const [a, c] = turned(1, 3, 9), [b, d] = turned(2, 4, 3 * 10 ** -0.5);
  assert.deepEqual(x, Float32Array.of(a!, b!, c!, d!, 5, 6));
  rope(y, 6, at, { ...plain, dims: 0 });
  assert.deepEqual(y, Float32Array.of(1, 2, 3, 4, 5, 6));
});
