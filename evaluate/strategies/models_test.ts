/** Benchmarks on a tiny model: that what they claim holds, not how fast it is. */
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { fixtureTest } from "../../models/testing/files.ts";
import { type StrategyOptions, strategyOptions } from "./options.ts";
import { checkpointReport } from "./checkpoint.ts";
import { kvReport } from "./kv.ts";
import { pagingReport } from "./paging.ts";
import { prefixReport } from "./prefix.ts";
import { replayReport } from "./replay.ts";
import type { Report } from "./report.ts";
import { sharingReport } from "./sharing.ts";
import { speculationReport } from "./speculation.ts";
import { weightsReport } from "./weights.ts";

const MODEL = "tiny/dev/llama-gqa-q4_0.gguf";

const TRACE = `TIMESTAMP,ContextTokens,GeneratedTokens
2023-11-16 18:17:03.9799600,320,40
2023-11-16 18:17:04.0319600,480,80
2023-11-16 18:17:04.5319600,160,8
2023-11-16 18:17:05.0319600,400,24
`;

type Run = (
  options: StrategyOptions,
  tell: (line: string) => void,
) => Promise<Report>;

/** Registers a test of a benchmark on the tiny model and a folder of data. */
function benchmarkTest(
  name: string,
  run: Run,
  sizes: StrategyOptions["sizes"],
  check: (report: Report) => void,
): void {
  fixtureTest(name, MODEL, async (url) => {
    const data = await Deno.makeTempDir({ prefix: "quire_test_" });
    try {
      await Deno.mkdir(`${data}/traces`);
      await Deno.writeTextFile(`${data}/traces/az_code.csv`, TRACE);
      const text = Array.from({ length: 4000 }, (_, i) => `word${i * i % 977}`);
      await Deno.writeTextFile(`${data}/wikitext2-test.txt`, text.join(" "));
      const options = strategyOptions(["prefix", "--rounds", "2"]);
      const given = { model: fileURLToPath(url), data, threads: 1 };
      const all = { ...options, ...given, ...(sizes ? { sizes } : {}) };
      const report = await run(all, () => {});
      for (const { head, rows } of report.tables) {
        for (const row of rows) assert.equal(row.length, head.length);
      }
      JSON.stringify(report.figures);
      check(report);
    } finally {
      await Deno.remove(data, { recursive: true });
    }
  });
}

benchmarkTest(
  "prefixReport() finds whole blocks again, and every bit is the same",
  prefixReport,
  { prompt: 100, make: 8 },
  ({ figures }) => {
    const { equal, rounds } = figures as {
      equal: number;
      rounds: { cached: number }[];
    };
    assert.equal(equal, 2);
    assert.deepEqual(rounds.map((r) => r.cached), [96, 96]);
  },
);

benchmarkTest(
  "checkpointReport() finds what each way keeps, and the same text",
  checkpointReport,
  { prompt: 100, make: 8 },
  ({ figures }) => {
    const { ways, equal } = figures as {
      equal: number;
      ways: { name: string; kept: number; found: number }[];
    };
    assert.equal(equal, ways.length);
    for (const { name, kept, found } of ways) {
      // The tiny model has two layers: only "every 1" is a boundary.
      const keeps = !/tokens only|every \d+$/.test(name) ||
        name.endsWith("every 1");
      assert.equal(kept > 0, keeps, name);
      if (name.startsWith("hidden")) assert.equal(found, keeps ? 96 : 0);
    }
  },
);

benchmarkTest(
  "replayReport() gives every request the tokens it has alone",
  replayReport,
  { scale: 1 },
  ({ figures }) => {
    const { kinds } = figures as {
      kinds: {
        equal: number;
        compared: number;
        budget: { holds: number };
        runs: { steps: number; pace: string }[];
      }[];
    };
    assert.equal(kinds.length, 3);
    for (const { equal, compared, budget, runs } of kinds) {
      assert.equal(compared, 3 * 4);
      assert.equal(equal, compared);
      assert.ok(budget.holds >= 8);
      assert.ok(runs[1]!.steps < runs[0]!.steps);
      assert.equal(runs.length, 5);
    }
  },
);

benchmarkTest(
  "sharingReport() finds that wider requests save more",
  sharingReport,
  { prompt: 40, make: 12 },
  ({ figures }) => {
    const { found } = figures as {
      found: { way: string; width: number; saved: number }[];
    };
    assert.equal(found.length, 2 * 2 * 3);
    const sampled = found.filter((f) => f.way === "parallel sampling");
    for (const [i, { saved }] of sampled.slice(0, 3).entries()) {
      assert.ok(saved > 0 && saved < 1);
      if (i > 0) assert.ok(saved > sampled[i - 1]!.saved);
    }
  },
);

benchmarkTest(
  "speculationReport() makes the same tokens with guesses and without",
  speculationReport,
  { prompt: 60, make: 200 },
  ({ figures }) => {
    const { found, equal } = figures as {
      equal: number;
      found: { drafted: number; accepted: number }[];
    };
    assert.equal(equal, found.length);
    assert.ok(found.some(({ drafted }) => drafted > 0));
    for (const f of found) assert.ok(f.accepted <= f.drafted);
  },
);

benchmarkTest(
  "pagingReport() times every layout that fits the context",
  pagingReport,
  undefined,
  ({ figures, tables }) => {
    const { layouts } = figures as {
      layouts: {
        name: string;
        timed: { name: string; ratio: number; tokensPerSecond: number[] }[];
      }[];
    };
    assert.equal(layouts.length, 6);
    for (const { timed } of layouts) {
      // The tiny model was trained for 512 tokens.
      assert.deepEqual(timed.map((t) => t.name), ["decode, empty context"]);
      // Four segments in each of two rounds.
      assert.equal(timed[0]!.tokensPerSecond.length, 8);
    }
    assert.equal(layouts[0]!.timed[0]!.ratio, 1);
    assert.equal(tables[0]!.rows.length, 6);
  },
);

benchmarkTest(
  "kvReport() times every format and reads its bytes",
  kvReport,
  undefined,
  ({ figures, tables }) => {
    const { formats, held } = figures as {
      formats: { name: string; timed: { tokensPerSecond: number[] }[] }[];
      held: { perToken: number }[];
    };
    assert.deepEqual(formats.map((f) => f.name), [
      ...["f16", "int8", "int8/int4", "int4", "nvfp4"],
    ]);
    for (const { timed } of formats) {
      assert.equal(timed.at(-1)!.tokensPerSecond.length, 8);
    }
    const [f16, int8, mixed, int4] = held.map((h) => h.perToken);
    assert.ok(int8! < f16! * 0.6 && mixed! < int8! && int4! < mixed!);
    assert.equal(tables.length, 2);
  },
);

benchmarkTest(
  "weightsReport() streams what it says, within the budget",
  weightsReport,
  undefined,
  ({ figures }) => {
    const rows = figures.rows as readonly {
      medium: string;
      resident: number;
      batch: number;
      bytes: number;
      stepMs: number;
      peak: number;
      budget: number;
    }[];
    // Two layers: none stays or one, from the file and the host, for 1 and 8.
    assert.equal(rows.length, 2 * 2 * 2);
    for (const r of rows) {
      assert.ok(r.peak <= r.budget && r.stepMs > 0);
      const share = r.bytes / rows[0]!.bytes;
      assert.ok(Math.abs(share - (2 - r.resident) / 2) < 0.02, `${share}`);
    }
  },
);
