import assert from "node:assert/strict";
import type { ModelSpec } from "../core/model.ts";
import { compareRuns, type Evaluated, perplexityOf } from "./compare_runs.ts";

const VOCAB = 11;

/** An engine whose logits follow from position and token alone. */
function fake(lean: number): Evaluated & { asked: [number, number][] } {
  const asked: [number, number][] = [];
  const row = new Float32Array(VOCAB);
  return {
    asked,
    spec: { vocab: VOCAB } as ModelSpec,
    eachLogits(ids, visit, { from = 0, signal } = {}) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      asked.push([ids.length, from]);
      for (let p = from; p < ids.length; p++) {
        // One buffer for all rows, as a backend has.
        for (let i = 0; i < VOCAB; i++) {
          row[i] = Math.sin(p + ids[p]! * i) * lean;
        }
        visit(p, row);
      }
      return Promise.resolve();
    },
  };
}

const chunks = [
  { ids: [1, 2, 3, 4, 5, 6], from: 3 },
  { ids: [6, 5, 4, 3, 2, 1], from: 3 },
];

Deno.test("compareRuns() scores the rows from `from` to the last but one of each chunk", async () => {
  const a = fake(3), b = fake(3.1), seen: [number, number][] = [];
  const [report] = await compareRuns(a, [b], {
    chunks,
    onRun: (...run) => seen.push(run),
  });
  assert.equal(report!.rows, 4);
  assert.deepEqual(a.asked, [[5, 3], [5, 3]]);
  assert.deepEqual(b.asked, a.asked);
  assert.deepEqual(seen, [[1, 4], [2, 4], [3, 4], [4, 4]]);
  assert.ok(report!.kld.mean.value > 0 && report!.kld.mean.value < 0.1);
  const one = await perplexityOf(fake(3), { chunks });
  assert.equal(one.rows, 4);
  assert.ok(Math.abs(one.value - report!.reference.perplexity.value) < 1e-12);
});

Deno.test("compareRuns() of several candidates gives what each gives alone, by one run of the reference", async () => {
  const reference = fake(3), leans = [3, 3.1, 2];
  const together = await compareRuns(reference, leans.map(fake), { chunks });
  assert.equal(reference.asked.length, chunks.length);
  for (const [i, lean] of leans.entries()) {
    const [alone] = await compareRuns(fake(3), [fake(lean)], { chunks });
    assert.deepEqual(together[i], alone);
  }
  assert.ok(together[0]!.kld.max < together[1]!.kld.max);
  assert.ok(together[1]!.kld.max < together[2]!.kld.max);
});

Deno.test("compareRuns() finds a run equal to itself", async () => {
  const [report] = await compareRuns(fake(3), [fake(3)], { chunks });
  assert.ok(report!.kld.max < 1e-12);
  assert.equal(report!.sameTop.value, 1);
});

Deno.test("compareRuns() ends with the signal's reason", async () => {
  const signal = AbortSignal.abort(new Error("enough"));
  await assert.rejects(
    () => compareRuns(fake(3), [fake(3)], { chunks, signal }),
    /enough/,
  );
});
