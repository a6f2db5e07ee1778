import assert from "node:assert/strict";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { openGguf } from "../models/gguf.ts";
import { modelSpec } from "../models/arch/mod.ts";
import { readTensor } from "../models/weights.ts";
import { writeGguf } from "../models/testing/gguf_writer.ts";
import { withFile } from "../models/testing/files.ts";
import { EXPERT_MODELS, tinyExperts } from "../models/testing/tiny_experts.ts";
import { createWasm } from "../wasm/backend.ts";
import { driveSequence } from "../core/testing/drive.ts";
import { referenceLogits } from "./testing/reference_logits.ts";

const OUTSIDE: Record<string, readonly (readonly number[])[]> = JSON.parse(
  await Deno.readTextFile(new URL("testdata/experts.json", import.meta.url)),
);
const IDS = Array.from({ length: 24 }, (_, i) => (7 * i * i + 3 * i + 1) % 40);
const ROWS = [7, 15, 23];

for (const name of EXPERT_MODELS) {
  Deno.test(`"${name}" gives the logits that transformers give`, async () => {
    await withFile(writeGguf(tinyExperts(name)), async (path) => {
      const file = await openGguf(path), spec = modelSpec(file);
      const check = (got: Float32Array): void =>
        ROWS.forEach((row, i) => {
          const logits = got.subarray(row * 40, row * 40 + 40);
          const off = maxAbsDiff(logits, OUTSIDE[name]![i]!);
          assert.ok(off < 1e-4, `row ${row}: ${off}`);
        });
      const read = (tensor: string) => readTensor(file, tensor, spec.tensors);
      const cut = { length: 24, blockTokens: 8, chunk: 24 };
      check(await referenceLogits(spec, read, cut)(IDS));
      for (const build of ["simd", "relaxed"] as const) {
        await using wasm = await createWasm({
          ...{ spec, build, paths: [path], exact: true, threads: 2 },
          ...{ context: 24, bytes: 1 << 24, rows: 24, seqs: 1, wanted: 24 },
        });
        const cut = { tokens: 8, blocks: 3, chunk: 7 };
        check(await driveSequence(wasm, spec, cut)(IDS));
      }
    });
  });
}
