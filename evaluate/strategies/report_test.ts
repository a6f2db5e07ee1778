import assert from "node:assert/strict";
import { markdown, mebibytes, number, percent } from "./report.ts";

Deno.test("markdown() lines up names left and numbers right, notes below", () => {
  const text = markdown({
    tables: [{
      title: "Two",
      head: ["what", "tokens/s"],
      rows: [["a", "1"], ["longer", "20"]],
    }],
    notes: ["That is all."],
    figures: {},
  });
  assert.equal(
    text,
    [
      "**Two**",
      "",
      "| what   | tokens/s |",
      "| ------ | -------: |",
      "| a      |        1 |",
      "| longer |       20 |",
      "",
      "- That is all.",
    ].join("\n"),
  );
});

Deno.test("number(), percent() and mebibytes() keep three digits", () => {
  assert.deepEqual([1234.5, 12.34, 1.234, 0].map(number), [
    "1235",
    "12.3",
    "1.23",
    "0.00",
  ]);
  assert.equal(percent(0.0345), "3.5 %");
  assert.equal(percent(0.0345, 2), "3.45 %");
  assert.equal(mebibytes(3 * 2 ** 19), "1.50");
});
