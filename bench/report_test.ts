import assert from "node:assert/strict";
import { aimsFor } from "./aims.ts";
import { type Contest, contestRecord, contestTable } from "./report.ts";
import type { Placed } from "./side_by_side.ts";

function placed(values: readonly number[], setting = "2 threads"): Placed {
  const sorted = values.toSorted((a, b) => a - b), n = values.length;
  return {
    setting,
    values,
    median: sorted[n >> 1]!,
    min: sorted[0]!,
    max: sorted[n - 1]!,
    n,
  };
}

const CONTEST: Contest = {
  model: "smollm2",
  threads: 2,
  rounds: 3,
  othersBusy: 0.02,
  aims: aimsFor("smollm2"),
  standing: new Map([
    ["quire", {
      decode: placed([150, 140, 160]),
      memory: placed([200 * 2 ** 20]),
      batch1: placed([100]),
    }],
    ["wllama", { decode: placed([20, 25, 30], "flash off") }],
    ["nlc", {
      decode: placed([151], "1 thread"),
      memory: placed([400 * 2 ** 20]),
    }],
  ]),
};

Deno.test("contestTable() shows medians, bounds and ratios of each row that was run", () => {
  const text = contestTable(CONTEST);
  const rows = text.split("\n").filter((line) => line.startsWith("|"))
    .map((line) => line.split("|").map((cell) => cell.trim()).slice(1, -1));
  assert.deepEqual(rows[0], [
    "",
    "Quire",
    "wllama",
    "ratio",
    "node-llama-cpp",
    "ratio",
  ]);
  assert.deepEqual(rows.slice(2), [
    [
      "decode, empty context, tokens/s",
      "150 (140–160)",
      "25.0 (20.0–30.0)",
      "6.00×",
      "151",
      "0.99×",
    ],
    ["1 request, tokens/s", "100", "–", "–", "–", "–"],
    ["peak resident memory, MiB", "200", "–", "–", "400", "0.50×"],
  ]);
});

Deno.test("contestTable() names the peers' settings and ends with the aims", () => {
  const text = contestTable(CONTEST);
  assert.match(text, /^wllama by its best setting\. flash off: decode$/m);
  assert.match(
    text,
    /^node-llama-cpp by its best setting\. 1 thread: decode; 2 threads: memory$/m,
  );
  assert.match(
    text,
    /^met +decode, empty context: at least 6× wllama, 6\.00×/m,
  );
  assert.match(text, /^MISSED +decode, empty context: at least 1× node-llama/m);
  assert.match(text, /^not run +decode at 1,000 tokens/m);
});

Deno.test("contestTable() says when the machine was not quiet", () => {
  const busy = { ...CONTEST, othersBusy: 0.36 };
  assert.match(
    contestTable(busy),
    /^The machine was not quiet: .* 36 % of it$/m,
  );
  assert.doesNotMatch(contestTable(CONTEST), /not quiet/);
});

Deno.test("contestTable() of peers that never ran still is a table", () => {
  const text = contestTable({
    ...CONTEST,
    standing: new Map([["quire", {}], ["native", {}]]),
  });
  assert.match(text, /^llama\.cpp native by its best setting\. none ran$/m);
  assert.doesNotMatch(text, /^met/m);
});

Deno.test("contestRecord() is JSON with every value, its unit and the verdicts", () => {
  const record = JSON.parse(JSON.stringify(contestRecord(CONTEST)));
  assert.deepEqual(record.contestants.wllama.decode, {
    unit: "tokens/s",
    setting: "flash off",
    values: [20, 25, 30],
    median: 25,
    min: 20,
    max: 30,
    n: 3,
  });
  assert.equal(record.aims[0].met, true);
  assert.equal(record.aims[0].ratio, 6);
  assert.equal(record.rounds, 3);
});
