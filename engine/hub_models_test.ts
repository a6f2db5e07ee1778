import assert from "node:assert/strict";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { modelSpec } from "../models/arch/mod.ts";
import type { ModelFile } from "../models/model_file.ts";
import { openModel } from "../models/open_model.ts";
import { readTensor } from "../models/weights.ts";
import { referenceLogits } from "./testing/reference_logits.ts";
import type { TinyLogits } from "./testing/tiny_fixtures.ts";
import { wasmLogits } from "./testing/wasm_logits.ts";

const FOLDER = new URL("../models/testdata/hub/", import.meta.url);

/** What transformers gave: logits of some positions. */
interface Expected {
  readonly ids: readonly number[];
  readonly rows: readonly number[];
  readonly logits: readonly (readonly number[])[];
}

const names = [...Deno.readDirSync(FOLDER)].map((entry) => entry.name).sort();

for (const name of names) {
  Deno.test(`${name}, saved by transformers, gives the logits it gave there`, () =>
    compare(name));
}

async function compare(name: string): Promise<void> {
  const url = new URL(`${name}/`, FOLDER);
  const { ids, rows, logits }: Expected = JSON.parse(
    await Deno.readTextFile(new URL("expected.json", url)),
  );
  const file: ModelFile = await openModel(decodeURIComponent(url.pathname));
  const spec = modelSpec(file, ids.length);
  const read = (tensor: string) => readTensor(file, tensor, spec.tensors);
  const far = async (run: TinyLogits): Promise<number> => {
    const all = await run(ids), { vocab } = spec;
    return Math.max(
      ...rows.map((row, i) =>
        maxAbsDiff(all.subarray(row * vocab, (row + 1) * vocab), logits[i]!)
      ),
    );
  };
  const cut = { length: ids.length, blockTokens: 16, chunk: 33 };
  const exact = await far(referenceLogits(spec, read, cut));
  assert.ok(exact <= 1e-4, `reference: ${exact}`);
  for (const build of ["simd", "relaxed"] as const) {
    await using wasm = await wasmLogits({ spec, file }, {
      build,
      exact: true,
      blockTokens: 16,
      chunk: 33,
      decode: 9,
    });
    const off = await far(wasm.logits);
    assert.ok(off <= 1e-4, `${build}: ${off}`);
  }
  await using fast = await wasmLogits({ spec, file }, {
    blockTokens: 16,
    chunk: 64,
  });
  const off = await far(fast.logits);
  assert.ok(off <= 0.1, `fast: ${off}`);
}
