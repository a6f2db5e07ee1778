import assert from "node:assert/strict";
import {
  CASE_NAMES,
  CASES,
  casesOf,
  FIGURES,
  formatFigure,
  moreIsBetter,
  ROWS,
} from "./speed_rows.ts";

Deno.test("ROWS name cases that are run, and every case gives a row", () => {
  const used = new Set(FIGURES.map((name) => ROWS[name].case));
  assert.deepEqual([...used].sort(), CASE_NAMES.toSorted());
  for (const name of CASE_NAMES) assert.ok(CASES[name].prompt > 0, name);
});

Deno.test("casesOf() puts cases in the order they run, each once", () => {
  assert.deepEqual(casesOf(["memory", "decode", "load", "decode"]), [
    "load",
    "decode",
    "memory",
  ]);
  assert.deepEqual(casesOf([]), []);
});

Deno.test("casesOf() refuses an unknown name and says which there are", () => {
  assert.throws(() => casesOf(["decode", "decode9"]), /"decode9".*decode4000/);
  assert.throws(() => casesOf(["toString"]), RangeError);
});

Deno.test("moreIsBetter() holds for rates, not for times and bytes", () => {
  assert.ok(moreIsBetter("batch8"));
  assert.ok(!moreIsBetter("load"));
  assert.ok(!moreIsBetter("memory"));
});

Deno.test("formatFigure() writes bytes as MiB and small values with a digit", () => {
  assert.equal(formatFigure(3 * 2 ** 20, "bytes"), "3.0");
  assert.equal(formatFigure(99.94, "ms"), "99.9");
  assert.equal(formatFigure(1234.5, "tokens/s"), "1235");
});
