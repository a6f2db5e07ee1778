import assert from "node:assert/strict";
import type {
  CandidateReport,
  EvaluationReport,
} from "../evaluate/evaluation.ts";
import type { RetrievalReport } from "../evaluate/retrieval.ts";
import { evalTable } from "./eval_table.ts";

const at = (value: number) => ({ value, error: value / 10 });

function retrieval(task: string, found: number): RetrievalReport {
  const cell = (length: number, depth: number) => ({
    length,
    depth,
    found,
    keys: 2,
    logProbability: -length / 100 - depth,
    difference: -depth,
  });
  return {
    task,
    found: at(found / 2),
    logProbability: at(-5),
    difference: at(-0.5),
    cells: [cell(512, 0), cell(512, 0.5), cell(1024, 0), cell(1024, 0.5)],
  };
}

function candidate(name: string): CandidateReport {
  const kld = {
    mean: { value: 2.4e-4, error: 1e-5 },
    median: 1e-4,
    p90: 5e-4,
    p95: 7e-4,
    p99: 1.5e-3,
    p999: 8e-3,
    max: 0.5,
  };
  return {
    name,
    format: `${name}h`,
    kv: { tokens: 449, bytes: 5 << 20, perToken: 11880 },
    kvRatio: 0.515625,
    perplexity: at(20),
    divergence: {
      rows: 99,
      reference: { perplexity: at(19) },
      candidate: { perplexity: at(20) },
      lnRatio: at(0.001),
      ratio: { value: 1.001, error: 0.0002 },
      kld,
      sameTop: { value: 0.9924, error: 0.001 },
      meanDeltaP: at(0),
      rmsDeltaP: { value: 0.0123, error: 0.0004 },
    },
    retrieval: [retrieval("passkey", 1), retrieval("needle", 0)],
    agreement: {
      prompts: 16,
      most: 128,
      lengths: [],
      mean: at(60),
      median: 42,
      never: { value: 0.25, error: 0.11 },
    },
  };
}

const REPORT: EvaluationReport = {
  model: "m",
  chunks: 4,
  chunksOfText: 567,
  chunkTokens: 512,
  precision: "exact",
  seconds: 12.3,
  f16PerToken: 23040,
  reference: {
    perplexity: at(19),
    retrieval: [retrieval("passkey", 2), retrieval("needle", 1)],
  },
  candidates: [candidate("int8"), candidate("int4")],
};

Deno.test("evalTable() has a row for each candidate with all its figures", () => {
  const [head, reference, , names, first, second] = evalTable(REPORT)
    .split("\n");
  assert.equal(
    head,
    "m: 4 of 567 chunks of 512 tokens, candidates in exact precision, 12 s",
  );
  assert.equal(
    reference,
    "reference, all in f32: perplexity 19.0000 ± 1.9000",
  );
  const cells = (line: string) => line.trim().split(/ {2,}/);
  assert.deepEqual(cells(names!), [
    "candidate",
    "K/V",
    "B/token",
    "of f16",
    "held",
    "perplexity",
    "ratio",
    "KLD",
    "median",
    "99 %",
    "99.9 %",
    "same top, %",
    "RMS Δp, %",
  ]);
  assert.deepEqual(cells(first!), [
    "int8",
    "int8h",
    "11880",
    "0.516",
    "5.0 MiB",
    "20.000 ± 2.000",
    "1.00100 ± 0.00020",
    "0.000240 ± 0.000010",
    "0.000100",
    "0.00150",
    "0.00800",
    "99.24 ± 0.10",
    "1.23 ± 0.04",
  ]);
  assert.equal(cells(second!)[0], "int4");
});

Deno.test("evalTable() shows keys by task, length and depth, and greedy texts", () => {
  const text = evalTable(REPORT);
  for (const task of ["passkey", "needle"]) {
    assert.match(
      text,
      new RegExp(`^${task} +found, % +ln p of the key +minus reference$`, "m"),
    );
  }
  assert.match(text, /^found, ln p +tokens +depth 0 % +depth 50 %$/m);
  assert.match(text, /^reference +512 +2\/2 -5\.12 +2\/2 -5\.62$/m);
  assert.match(text, /^int4 +1024 +0\/2 -10\.24 +0\/2 -10\.74$/m);
  assert.match(
    text,
    /^16 greedy texts of 128 tokens +same tokens, mean +median +never differ, %\nint8 +60\.0 ± 6\.0 +42 +25\.00 ± 11\.00$/m,
  );
});

Deno.test("evalTable() leaves out what was not measured", () => {
  const { divergence: _d, retrieval: _r, agreement: _a, ...alone } = candidate(
    "int8",
  );
  const { reference: _, ...report } = REPORT;
  const kv = { tokens: 9, bytes: 10, perToken: undefined };
  const text = evalTable({
    ...report,
    candidates: [{ ...alone, kv, kvRatio: undefined }],
  });
  assert.match(text, /^int8 +int8h +– +– +10 B +20\.000 ± 2\.000$/m);
  assert.doesNotMatch(text, /KLD|found|greedy|reference/);
});
