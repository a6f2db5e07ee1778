import assert from "node:assert/strict";
import { seeded } from "../random.ts";
import { reads } from "./byte_dfa.ts";
import { ANY_NUMBER, numberDfa, type NumberRange } from "./decimals.ts";

function has(range: Partial<NumberRange>, text: string): boolean {
  const dfa = numberDfa({ ...ANY_NUMBER, ...range });
  return reads(dfa, new TextEncoder().encode(text));
}

Deno.test("numberDfa() reads the numbers of a range and no other", () => {
  const random = seeded(9);
  const whole = (n: number): number => Math.floor(random() * n);
  const value = (): number =>
    [
      () => whole(2000) - 1000,
      () => (whole(2000) - 1000) / 100,
      () => whole(30) - 15,
      () => (whole(2000) - 1000) / 1e4,
    ][whole(4)]!();
  let inside = 0;
  for (let i = 0; i < 200; i++) {
    const r: NumberRange = {
      low: random() < 0.3 ? -Infinity : value(),
      high: random() < 0.3 ? Infinity : value(),
      aboveLow: random() < 0.5,
      belowHigh: random() < 0.5,
      whole: random() < 0.5,
      multiple: 1,
    };
    const by = r.whole && random() < 0.3 ? 1 + whole(20) : 1;
    for (let j = 0; j < 100; j++) {
      const from = [r.low, r.high, value()][whole(3)]!;
      const near = Number.isFinite(from) ? from : value();
      const step = [0, 1, 0.01, 0.001][whole(4)]!;
      const moved = Number((near + (whole(3) - 1) * step).toFixed(6));
      const x = (r.whole ? Math.round(moved) : moved) || 0;
      const point = !r.whole && random() < 0.3;
      const text = String(x) +
        (point ? String(x).includes(".") ? "0" : ".0" : "");
      const is = (r.aboveLow ? x > r.low : x >= r.low) &&
        (r.belowHigh ? x < r.high : x <= r.high) && (by === 1 || x % by === 0);
      inside += Number(is);
      assert.equal(
        has({ ...r, multiple: by }, text),
        is,
        `${text} in ${JSON.stringify({ ...r, by })}`,
      );
    }
  }
  assert.ok(inside > 4000);
});

Deno.test("numberDfa() reads numbers as JSON writes them, of a bounded length", () => {
  for (const yes of ["0", "-1", "10", "0.5", "1e9", "1.5E-10", "2.0e+07"]) {
    assert.ok(has({}, yes), yes);
    assert.equal(typeof JSON.parse(yes), "number");
  }
  for (
    const no of [
      ...["", "-", "01", "1.", ".5", "1e", "1e+", "+1", "1e100", "-0", "0x1"],
      ...["1".repeat(16), `0.${"1".repeat(15)}`, "1 ", "NaN"],
    ]
  ) assert.ok(!has({}, no), no);
  const bounded = { whole: true, low: -(2 ** 53) + 1, high: 2 ** 53 - 1 };
  assert.ok(has(bounded, "-999999999999999"));
  assert.ok(!has(bounded, "1.0"));
  assert.ok(!has({ low: 0 }, "1e2"));
  assert.equal(numberDfa({ ...ANY_NUMBER, low: 3, high: 2 }).size, 0);
  assert.equal(numberDfa({ ...ANY_NUMBER, low: 1e20 }).size, 0);
  assert.ok(has({ low: 1e-7, aboveLow: true, high: 1 }, "0.0000002"));
  assert.ok(!has({ low: 1e-7, aboveLow: true, high: 1 }, "0.0000001"));
});
