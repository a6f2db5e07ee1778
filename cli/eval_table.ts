/**
 * What `quire eval` prints.
 *
 * @module
 */
import type {
  CandidateReport,
  EvaluationReport,
} from "../evaluate/evaluation.ts";
import type { Estimate } from "../evaluate/perplexity.ts";
import type { RetrievalReport } from "../evaluate/retrieval.ts";
import { formatBytes, table } from "./statistics.ts";

/** All figures as tables, one row a candidate. */
export function evalTable(report: EvaluationReport): string {
  const { reference, candidates } = report;
  const compared = reference !== undefined;
  const head = `${report.model}: ${report.chunks} of ${report.chunksOfText} ` +
    `chunks of ${report.chunkTokens} tokens, candidates ${
      report.precision === "exact" ? "in exact precision" : "as they run"
    }, ${report.seconds.toFixed(0)} s`;
  const columns = compared ? [...SIZES, ...DISTANCES] : SIZES;
  const parts = [
    compared
      ? `${head}\nreference, all in f32: perplexity ${
        estimate(reference.perplexity, 4)
      }`
      : head,
    table([
      columns.map(([name]) => name),
      ...candidates.map((c) => columns.map(([, cell]) => cell(c))),
    ], 2),
    ...retrievalTables(report),
    ...agreementTable(candidates),
  ];
  return `${parts.join("\n\n")}\n`;
}

type Column = readonly [string, (c: CandidateReport) => string];

const SIZES: readonly Column[] = [
  ["candidate", (c) => c.name],
  ["K/V", (c) => c.format],
  ["B/token", ({ kv }) => kv.perToken?.toFixed(0) ?? "–"],
  ["of f16", (c) => c.kvRatio?.toFixed(3) ?? "–"],
  ["held", ({ kv }) => formatBytes(kv.bytes)],
  ["perplexity", (c) => estimate(c.perplexity, 3)],
];

const DISTANCES: readonly Column[] = ([
  ["ratio", (d) => estimate(d.ratio, 5)],
  ["KLD", (d) => estimate(d.kld.mean, 6)],
  ["median", (d) => d.kld.median.toFixed(6)],
  ["99 %", (d) => d.kld.p99.toFixed(5)],
  ["99.9 %", (d) => d.kld.p999.toFixed(5)],
  ["same top, %", (d) => percent(d.sameTop)],
  ["RMS Δp, %", (d) => percent(d.rmsDeltaP)],
] as readonly [
  string,
  (d: NonNullable<CandidateReport["divergence"]>) => string,
][]).map(([name, cell]) => [name, (c) => cell(c.divergence!)]);

function retrievalTables({ reference, candidates }: EvaluationReport) {
  const tasks = reference?.retrieval ?? [];
  return tasks.map((task, t) => {
    const rows: [string, RetrievalReport][] = [
      ["reference", task],
      ...candidates.map(({ name, retrieval }) =>
        [name, retrieval![t]!] as [string, RetrievalReport]
      ),
    ];
    const depths = [...new Set(task.cells.map((c) => c.depth))];
    const lengths = [...new Set(task.cells.map((c) => c.length))];
    const sums = table([
      [task.task, "found, %", "ln p of the key", "minus reference"],
      ...rows.map(([name, r]) => [
        name,
        percent(r.found),
        estimate(r.logProbability, 3),
        estimate(r.difference, 4),
      ]),
    ], 1);
    const grid = table([
      ["found, ln p", "tokens", ...depths.map((d) => `depth ${100 * d} %`)],
      ...rows.flatMap(([name, { cells }]) =>
        lengths.map((length) => [
          name,
          `${length}`,
          ...cells.filter((c) => c.length === length).map((c) =>
            `${c.found}/${c.keys} ${c.logProbability.toFixed(2)}`
          ),
        ])
      ),
    ], 1);
    return `${sums}\n\n${grid}`;
  });
}

function agreementTable(candidates: readonly CandidateReport[]): string[] {
  const [first] = candidates;
  if (first?.agreement === undefined) return [];
  const { prompts, most } = first.agreement;
  return [
    table([
      [
        `${prompts} greedy texts of ${most} tokens`,
        "same tokens, mean",
        "median",
        "never differ, %",
      ],
      ...candidates.map(({ name, agreement }) => [
        name,
        estimate(agreement!.mean, 1),
        `${agreement!.median}`,
        percent(agreement!.never),
      ]),
    ], 1),
  ];
}

function estimate({ value, error }: Estimate, digits: number): string {
  return `${value.toFixed(digits)} ± ${error.toFixed(digits)}`;
}

function percent({ value, error }: Estimate): string {
  return `${(100 * value).toFixed(2)} ± ${(100 * error).toFixed(2)}`;
}
