import assert from "node:assert/strict";
import type { Engine } from "../engine/engine.ts";
import { load } from "../engine/load.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { parseCandidates, plain } from "./candidates.ts";
import { compareRuns } from "./compare_runs.ts";
import { cutChunks } from "./perplexity.ts";

const TEXT = "The robin sings in the rain, the fox sleeps under the hill. "
  .repeat(8);

/** Engines for a tiny model, closed at the end. */
async function withEngines(
  fn: (
    open: (
      list: string,
      chunk: number,
      backend?: "wasm" | "reference",
    ) => Promise<Engine>,
  ) => Promise<void>,
): Promise<void> {
  await withFile(tinyChat(), async (path) => {
    await using stack = new AsyncDisposableStack();
    await fn(async (list, chunk, backend = "wasm") => {
      const [candidate] = await parseCandidates(list);
      const { plugins } = candidate!;
      return stack.use(
        await load(path, {
          plugins,
          chunk,
          backend,
          precision: "exact",
          threads: 1,
          context: 200,
          budget: "64MiB",
        }),
      );
    });
  });
}

for (const backend of ["wasm", "reference"] as const) {
  Deno.test(`compareRuns() shows a codec's loss whatever the step size, backend ${backend}`, async () => {
    await withEngines(async (open) => {
      const reference = await open("none", 200, backend);
      const { chunks } = cutChunks(reference.tokenizer, TEXT, 200, 2);
      const steps = [200, 64, 16, 7];
      const coded = await Promise.all(
        steps.map((chunk) => open("int4", chunk, backend)),
      );
      const reports = await compareRuns(reference, coded, { chunks });
      // A prompt in one step reads the codes as well.
      // Far above what rounding in f64 would leave.
      assert.ok(reports[0]!.kld.mean.value > 1e-8);
      for (const report of reports) assert.deepEqual(report, reports[0]);
    });
  });
}

Deno.test("compareRuns() shows no loss where no block is full before a query", async () => {
  await withEngines(async (open) => {
    const reference = await open("none", 64);
    assert.deepEqual(plain().plugins.map((p) => p.name), ["paged-attention"]);
    // The block that a query stands in is read as it was computed.
    const chunks = [{
      ids: reference.tokenizer.encode(TEXT).slice(0, 17),
      from: 0,
    }];
    const [report] = await compareRuns(reference, [await open("int8", 64)], {
      chunks,
    });
    assert.equal(report!.kld.max, 0);
    assert.equal(report!.rows, 16);
  });
});
