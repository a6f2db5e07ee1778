import assert from "node:assert/strict";
import { createReference } from "../core/reference/backend.ts";
import { backendLaws, EXPERTS } from "../core/testing/backend_laws.ts";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { driveSequence } from "../core/testing/drive.ts";
import {
  type RandomExperts,
  type RandomModel,
  randomModel,
} from "../core/testing/random_model.ts";
import { createWasm, type WasmBackend, type WasmOptions } from "./backend.ts";
import type { KernelBuild } from "./binary.ts";
import { expertExtent } from "./experts.ts";
import { withRandomFile } from "./testing/random_file.ts";

const BUILDS: readonly KernelBuild[] = ["simd", "relaxed"];

type Settings = Partial<Omit<WasmOptions, "spec" | "paths">>;

function make(
  model: RandomModel,
  settings: Settings = {},
): Promise<WasmBackend> {
  return withRandomFile(model, ({ spec, paths }) =>
    createWasm({
      spec,
      paths,
      threads: 2,
      context: 64,
      bytes: 64 << 20,
      rows: 40,
      seqs: 4,
      wanted: 40,
      ...settings,
    }));
}

for (const build of BUILDS) {
  for (const exact of [true, false]) {
    const name = `createWasm({ build: "${build}", exact: ${exact} }), experts:`;
    const settings = { build, exact, threads: exact ? 3 : 1 };
    backendLaws(name, (model) => make(model, settings), [], EXPERTS);
  }
}

/** Experts beside shapes where tiles, panels and shares of workers do not come out even. */
const ODD: readonly (RandomExperts & { readonly mlp?: number })[] = [
  { count: 3, used: 1, ffn: 8 },
  { count: 3, used: 3, ffn: 40, normalised: false },
  { count: 1, used: 1, ffn: 24 },
  { count: 9, used: 2, ffn: 72, mlp: 56 },
  { count: 40, used: 8, ffn: 16, shared: 104, normalised: false },
  { count: 17, used: 5, ffn: 64, shared: 8, mlp: 8 },
];

function odd({ mlp = 0, ...experts }: typeof ODD[number], seed: number) {
  return randomModel({
    seed,
    vocab: 33,
    hidden: 40,
    norms: seed % 2 === 0,
    layers: [
      { qHeads: 3, kvHeads: 1, headDim: 8, ffn: mlp, experts },
      { qHeads: 1, kvHeads: 1, headDim: 16, ffn: 48 },
      { qHeads: 2, kvHeads: 2, headDim: 8, ffn: mlp, experts },
    ],
  });
}

Deno.test("createWasm() computes experts as the reference does, whatever their number and width", async (t) => {
  for (const [i, experts] of ODD.entries()) {
    const model = odd(experts, i + 1), { spec, read } = model;
    const tokens = Array.from({ length: 37 }, (_, k) => (k * k * 5 + k) % 33);
    const cut = { tokens: 8, blocks: 6, chunk: 40 };
    const limits = { bytes: 8 << 20, rows: 40, seqs: 4, wanted: 40, top: 5 };
    await using reference = createReference({ spec, read, limits });
    const want = await driveSequence(reference, spec, cut)(tokens);
    for (const build of BUILDS) {
      await t.step(`${JSON.stringify(experts)}, ${build}`, async () => {
        const all: Float32Array[] = [];
        for (const [threads, chunk] of [[1, 40], [2, 7], [5, 1]] as const) {
          await using wasm = await make(model, { build, threads, exact: true });
          const run = driveSequence(wasm, spec, { ...cut, chunk });
          all.push(await run(tokens));
        }
        const most = maxAbsDiff(all[0]!, want);
        assert.ok(most <= 6e-5, `${most} above 6e-5`);
        assert.deepEqual(all[1], all[0]);
        assert.deepEqual(all[2], all[0]);
      });
    }
  }
});

Deno.test("createWasm() runs hundreds of rows through experts of which some have none", async () => {
  const { read, spec } = odd({ count: 12, used: 2, ffn: 24 }, 5);
  // Experts 3, 7 and 11 always have equal scores, so nobody takes the last of them.
  const [first] = spec.layers, { router } = first!.experts!;
  const bent = async (name: string) => {
    const values = await read(name);
    if (name !== router) return values;
    for (const e of [7, 11]) values.copyWithin(e * 40, 3 * 40, 4 * 40);
    return values;
  };
  const model = { spec, read: bent };
  const tokens = Array.from({ length: 300 }, (_, k) => (k * k + k) % 33);
  const cut = { tokens: 8, blocks: 40 };
  const limits = { bytes: 16 << 20, rows: 300, seqs: 1, wanted: 300, top: 0 };
  await using reference = createReference({ ...model, limits });
  const want = await driveSequence(reference, spec, { ...cut, chunk: 300 })(
    tokens,
  );
  for (const build of BUILDS) {
    const settings = { build, context: 320, exact: true, seqs: 1 };
    const all: Float32Array[] = [];
    for (const chunk of [300, 33]) {
      await using wasm = await make(model, {
        ...settings,
        rows: 300,
        wanted: 300,
      });
      all.push(await driveSequence(wasm, spec, { ...cut, chunk })(tokens));
    }
    const most = maxAbsDiff(all[0]!, want);
    assert.ok(most <= 6e-5, `${most} above 6e-5`);
    assert.deepEqual(all[1], all[0]);
  }
});

Deno.test("expertExtent() has slots for every way to take experts", () => {
  const { spec } = odd({ count: 5, used: 2, ffn: 40, shared: 8 }, 1);
  for (const rows of [1, 2, 3, 8, 41]) {
    const { slots, ...rest } = expertExtent(spec, rows);
    assert.deepEqual(rest, { experts: 6, taken: 3, scores: 16, ffn: 64 });
    // As uneven as can be: one row more than whole tiles for each but the shared one.
    const groups = Math.min(5, rows * 2);
    const least = 4 * groups + 4 * Math.ceil(rows / 4);
    assert.ok(slots >= least && slots % 4 === 0, `${slots}`);
    assert.ok(slots >= 3 * rows);
  }
  const none = randomModel().spec;
  assert.equal(expertExtent(none, 40).slots, 0);
});
