import assert from "node:assert/strict";
import { klDivergence, logSoftmax } from "../core/testing/compare.ts";
import { random } from "../core/testing/random_model.ts";
import { Divergence, rowSum } from "./divergence.ts";

function near(a: number, b: number, bound = 1e-9): void {
  assert.ok(Math.abs(a - b) <= bound, `${a} is not near ${b}`);
}

const ROWS = 200, VOCAB = 31;

/** Rows of logits, and the same with noise. */
function rows(noise: number): [Float32Array, Float32Array, number][] {
  const next = random(7);
  return Array.from({ length: ROWS }, (_, i) => {
    const a = Float32Array.from({ length: VOCAB }, () => 12 * next() - 6);
    const b = a.map((x) => x + noise * (2 * next() - 1));
    return [a, b, (i * 5) % VOCAB];
  });
}

Deno.test("Divergence gives what its definitions give", () => {
  const divergence = new Divergence();
  const klds: number[] = [], nllA: number[] = [], nllB: number[] = [];
  const deltas: number[] = [];
  let same = 0;
  for (const [a, b, next] of rows(0.5)) {
    divergence.add(a, b, next);
    const p = logSoftmax(a), q = logSoftmax(b);
    klds.push(klDivergence(p, q));
    nllA.push(-p[next]!);
    nllB.push(-q[next]!);
    deltas.push(Math.exp(q[next]!) - Math.exp(p[next]!));
    const top = (x: Float64Array) => x.indexOf(Math.max(...x));
    if (top(p) === top(q)) same++;
  }
  const mean = (x: number[]) => x.reduce((s, v) => s + v, 0) / x.length;
  const error = (x: number[]) =>
    Math.sqrt(
      x.reduce((s, v) => s + (v - mean(x)) ** 2, 0) / (ROWS - 1) / ROWS,
    );
  const report = divergence.report();
  assert.equal(report.rows, ROWS);
  near(report.kld.mean.value, mean(klds));
  near(report.kld.mean.error, error(klds));
  const sorted = klds.toSorted((x, y) => x - y);
  near(report.kld.median, (sorted[99]! + sorted[100]!) / 2);
  near(report.kld.max, sorted.at(-1)!);
  // Of 200 rows, 0.9 · 199 = 179.1.
  near(report.kld.p90, 0.9 * sorted[179]! + 0.1 * sorted[180]!);
  near(report.kld.p95, 0.95 * sorted[189]! + 0.05 * sorted[190]!);
  near(report.kld.p99, 0.99 * sorted[197]! + 0.01 * sorted[198]!);
  near(report.kld.p999, 0.199 * sorted[198]! + 0.801 * sorted[199]!);
  near(report.reference.perplexity.value, Math.exp(mean(nllA)), 1e-6);
  near(report.candidate.perplexity.value, Math.exp(mean(nllB)), 1e-6);
  near(
    report.candidate.perplexity.error,
    Math.exp(mean(nllB)) * error(nllB),
    1e-6,
  );
  assert.ok(same > 0 && same < ROWS);
  near(report.sameTop.value, same / ROWS);
  near(
    report.sameTop.error,
    Math.sqrt(same / ROWS * (1 - same / ROWS) / (ROWS - 1)),
  );
  near(report.meanDeltaP.value, mean(deltas));
  near(report.meanDeltaP.error, error(deltas));
  const squares = deltas.map((d) => d * d), rms = Math.sqrt(mean(squares));
  near(report.rmsDeltaP.value, rms);
  near(report.rmsDeltaP.error, error(squares) / 2 / rms);
  const paired = nllB.map((b, i) => b - nllA[i]!);
  near(report.lnRatio.value, mean(paired));
  near(report.lnRatio.error, error(paired));
  const ratio = Math.exp(mean(nllB)) / Math.exp(mean(nllA));
  near(report.ratio.value, ratio);
  near(report.ratio.error, ratio * error(paired));
});

Deno.test("Divergence of a run from itself is nothing", () => {
  const divergence = new Divergence();
  for (const [a, , next] of rows(0)) divergence.add(a, a, next);
  const { kld, sameTop, rmsDeltaP, ratio } = divergence.report();
  near(kld.max, 0);
  assert.deepEqual(ratio, { value: 1, error: 0 });
  near(kld.mean.value, 0);
  assert.equal(sameTop.value, 1);
  assert.equal(rmsDeltaP.value, 0);
});

Deno.test("Divergence does not change where a row is moved as a whole", () => {
  const plain = new Divergence(), moved = new Divergence();
  for (const [a, b, next] of rows(0.5)) {
    plain.add(a, b, next);
    moved.add(a.map((x) => x + 64), b.map((x) => x - 128), next);
  }
  near(moved.report().kld.mean.value, plain.report().kld.mean.value, 1e-5);
});

Deno.test("Divergence shows a broken row", () => {
  const divergence = new Divergence();
  const [a, b] = rows(0.1)[0]!;
  divergence.add(a, b.map((x, i) => i === 3 ? NaN : x), 0);
  divergence.add(a, b, 0);
  const { kld, ratio } = divergence.report();
  const { mean, ...quantiles } = kld;
  for (const x of [mean.value, ratio.value, ...Object.values(quantiles)]) {
    assert.ok(Number.isNaN(x));
  }
  assert.throws(() => divergence.add(a, b.slice(1), 0), RangeError);
});

Deno.test("Divergence of one hand-made row", () => {
  const divergence = new Divergence();
  // p = 1/2, 1/4, 1/4 and q = 1/4, 1/2, 1/4: Σ p ln (p/q) = ln 2 / 2 - ln 2 / 4.
  const p = Float32Array.of(Math.log(2), 0, 0);
  const q = Float32Array.of(0, Math.log(2), 0);
  divergence.add(p, q, 1);
  const { kld, ratio, meanDeltaP, sameTop, candidate } = divergence.report();
  near(kld.mean.value, Math.LN2 / 4, 1e-7);
  for (const x of [kld.median, kld.p90, kld.p999, kld.max]) {
    assert.equal(x, kld.mean.value);
  }
  near(candidate.perplexity.value, 2, 1e-6);
  near(ratio.value, 1 / 2, 1e-6);
  near(meanDeltaP.value, 1 / 4, 1e-7);
  assert.equal(sameTop.value, 0);
});

Deno.test("rowSum() stands large logits, and takes the lower of equal ones", () => {
  const { best, log } = rowSum(Float32Array.of(-1e4, 1e4, 1e4, 3));
  assert.equal(best, 1);
  near(log, 1e4 + Math.log(2), 1e-9);
});
