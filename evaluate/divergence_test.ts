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
  let same = 0, squares = 0;
  for (const [a, b, next] of rows(0.5)) {
    divergence.add(a, b, next);
    const p = logSoftmax(a), q = logSoftmax(b);
    klds.push(klDivergence(p, q));
    nllA.push(-p[next]!);
    nllB.push(-q[next]!);
    squares += (Math.exp(q[next]!) - Math.exp(p[next]!)) ** 2;
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
  assert.ok(report.kld.p99 <= report.kld.p999);
  near(report.reference.perplexity.value, Math.exp(mean(nllA)), 1e-6);
  near(report.candidate.perplexity.value, Math.exp(mean(nllB)), 1e-6);
  near(
    report.candidate.perplexity.error,
    Math.exp(mean(nllB)) * error(nllB),
    1e-6,
  );
  assert.ok(same > 0 && same < ROWS);
  near(report.sameTop.value, same / ROWS);
  near(report.rmsDeltaP.value, Math.sqrt(squares / ROWS));
});

Deno.test("Divergence of a run from itself is nothing", () => {
  const divergence = new Divergence();
  for (const [a, , next] of rows(0)) divergence.add(a, a, next);
  const { kld, sameTop, rmsDeltaP } = divergence.report();
  near(kld.max, 0);
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
  assert.ok(Number.isNaN(divergence.report().kld.mean.value));
  assert.throws(() => divergence.add(a, b.slice(1), 0), RangeError);
});

Deno.test("rowSum() stands large logits, and takes the lower of equal ones", () => {
  const { best, log } = rowSum(Float32Array.of(-1e4, 1e4, 1e4, 3));
  assert.equal(best, 1);
  near(log, 1e4 + Math.log(2), 1e-9);
});
