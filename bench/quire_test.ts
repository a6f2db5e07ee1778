import assert from "node:assert/strict";
import { quireContestant, quireFigures } from "./quire.ts";

Deno.test("quireFigures() takes the medians of a line", () => {
  const line = JSON.stringify({
    model: "m",
    figures: {
      decode: { unit: "tokens/s", median: 5, min: 4, max: 6, n: 3 },
      load: { unit: "ms", median: 300, min: 300, max: 300, n: 1 },
    },
  });
  assert.deepEqual(quireFigures(line), { decode: 5, load: 300 });
});

Deno.test("quireContestant() runs each case once in a process of its own", async () => {
  const calls: string[] = [];
  const quire = quireContestant("/m.gguf", 2, (_, args) => {
    calls.push(args.join(" "));
    const stdout = `{"figures":{"decode":{"median":7}}}\n`;
    return Promise.resolve({ success: true, stdout, stderr: "" });
  });
  const sample = await quire.run(quire.settings[0]!, ["load", "decode"]);
  assert.deepEqual(sample, { figures: { decode: 7 } });
  assert.match(
    calls[0]!,
    /main\.ts \/m\.gguf --json --reps 1 --threads 2 --cases load,decode$/,
  );
});

Deno.test("quireContestant() fails with Quire's own words", async () => {
  const quire = quireContestant("/m.gguf", 2, () =>
    Promise.resolve({
      success: false,
      stdout: "",
      stderr: 'Cannot use model "/m.gguf": it is empty',
    }));
  await assert.rejects(
    quire.run(quire.settings[0]!, ["decode"]),
    /Quire: Cannot use model "\/m\.gguf": it is empty/,
  );
});
