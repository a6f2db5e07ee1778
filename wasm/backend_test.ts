import assert from "node:assert/strict";
import { ModelError } from "../core/errors.ts";
import { Ledger } from "../core/ledger.ts";
import { backendLaws } from "../core/testing/backend_laws.ts";
import { Driver, driveSequence } from "../core/testing/drive.ts";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { type RandomModel, randomModel } from "../core/testing/random_model.ts";
import { createReference } from "../core/reference/backend.ts";
import { createWasm, type WasmBackend, type WasmOptions } from "./backend.ts";
import type { KernelBuild } from "./binary.ts";
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
    for (const threads of [1, 3]) {
      const name =
        `createWasm({ build: "${build}", exact: ${exact}, threads: ${threads} })`;
      backendLaws(name, (model) => make(model, { build, exact, threads }));
    }
  }
}

/** Widths where rows of tiles, panels and shares of workers do not come out even. */
const ODD: readonly RandomModel[] = [
  randomModel({
    vocab: 33,
    hidden: 32,
    layers: [{ qHeads: 3, kvHeads: 1, headDim: 32, ffn: 40 }],
  }),
  randomModel({
    vocab: 7,
    hidden: 40,
    norms: true,
    tied: true,
    layers: [
      { qHeads: 1, kvHeads: 1, headDim: 40, ffn: 8, window: 1 },
      { qHeads: 5, kvHeads: 5, headDim: 8, ffn: 56, activation: "gelu" },
    ],
  }),
  randomModel({
    vocab: 130,
    hidden: 72,
    layers: [{
      qHeads: 8,
      kvHeads: 2,
      headDim: 16,
      ffn: 72,
      window: 9,
      rope: { style: "neighbours", base: 500, divide: 4, dims: 8 },
    }],
  }),
  randomModel({
    vocab: 70,
    hidden: 40,
    biases: true,
    logitScale: 0.5,
    logitCap: 5,
    layers: [
      {
        ...{ qHeads: 6, kvHeads: 2, headDim: 24, ffn: 40 },
        attnCap: 2,
        rope: {
          ...{ style: "halves", base: 500, divide: 1, dims: 8 },
          factors: [1, 2, 3, 4],
          magnitude: 1.5,
        },
      },
      {
        ...{ qHeads: 3, kvHeads: 3, headDim: 8, ffn: 24 },
        residualScale: 0.3,
        rope: { style: "neighbours", base: 500, divide: 1, dims: 0 },
      },
    ],
  }),
  randomModel({
    vocab: 9,
    hidden: 24,
    norms: true,
    biases: true,
    logitScale: 3,
    layers: [
      {
        ...{ qHeads: 2, kvHeads: 1, headDim: 16, ffn: 24 },
        ...{ attnCap: 50, residualScale: 1.5, window: 11 },
      },
    ],
  }),
];

function ids(vocab: number, length: number): number[] {
  return Array.from({ length }, (_, i) => (i * i * 5 + i * 3) % vocab);
}

Deno.test("createWasm() computes what the reference does, whatever the widths", async (t) => {
  for (const [i, model] of ODD.entries()) {
    const { spec, read } = model;
    const tokens = ids(spec.vocab, 37);
    const cut = { tokens: 8, blocks: 6, chunk: 40 };
    const limits = { bytes: 8 << 20, rows: 40, seqs: 4, wanted: 40, top: 5 };
    await using reference = createReference({ spec, read, limits });
    const want = await driveSequence(reference, spec, cut)(tokens);
    for (const build of BUILDS) {
      for (const threads of [1, 2, 5]) {
        await t.step(`model ${i}, ${build}, ${threads} threads`, async () => {
          for (const exact of [true, false]) {
            await using wasm = await make(model, { build, threads, exact });
            const got = await driveSequence(wasm, spec, { ...cut, chunk: 7 })(
              tokens,
            );
            const most = maxAbsDiff(got, want);
            const bound = exact ? 2e-5 : 2e-2;
            assert.ok(most <= bound, `${most} above ${bound}`);
          }
        });
      }
    }
  }
});

Deno.test("createWasm() folds attention over any number of splits, windows and sinks", async () => {
  const heads = { qHeads: 4, kvHeads: 1, headDim: 16, ffn: 32 };
  const model = randomModel({
    vocab: 40,
    hidden: 32,
    norms: true,
    layers: [heads, { ...heads, window: 300, kvHeads: 2 }, {
      ...heads,
      window: 20,
      kvHeads: 4,
    }],
  });
  const { spec, read } = model, tokens = ids(spec.vocab, 700);
  for (const sink of [0, 5]) {
    const cut = { tokens: 32, blocks: 23, sink };
    const limits = { bytes: 16 << 20, rows: 350, seqs: 1, wanted: 350, top: 0 };
    await using reference = createReference({ spec, read, limits });
    const want = await driveSequence(reference, spec, { ...cut, chunk: 350 })(
      tokens,
    );
    for (const build of BUILDS) {
      for (const exact of [true, false]) {
        const settings = { build, exact, context: 720 };
        const all: Float32Array[] = [];
        for (
          const [threads, way] of [
            // Few rows spread their splits over workers, many do not.
            [2, { chunk: 40 }],
            [3, { chunk: 40, decode: 60 }],
            [2, { chunk: 9 }],
          ] as const
        ) {
          await using wasm = await make(model, { ...settings, threads });
          all.push(await driveSequence(wasm, spec, { ...cut, ...way })(tokens));
        }
        const most = maxAbsDiff(all[0]!, want), bound = exact ? 4e-5 : 3e-2;
        assert.ok(most <= bound, `sink ${sink}, ${build}: ${most} > ${bound}`);
        assert.deepEqual(all[1], all[0]);
        assert.deepEqual(all[2], all[0]);
      }
    }
  }
});

Deno.test("createWasm() turns queries back for sinks beyond reach as the reference does", async () => {
  const heads = { headDim: 32, ffn: 32, window: 40 };
  const model = randomModel({
    vocab: 40,
    hidden: 16,
    biases: true,
    layers: [
      { ...heads, qHeads: 4, kvHeads: 4, attnCap: 2 },
      {
        ...heads,
        qHeads: 6,
        kvHeads: 2,
        // A tensor of dims / 2 values, about 1 each, serves as factors.
        rope: {
          style: "neighbours",
          base: 90,
          divide: 2,
          dims: 32,
          factors: "0.attnNorm",
          magnitude: 1.3,
        },
        attnCap: 4,
      },
      {
        ...heads,
        qHeads: 5,
        kvHeads: 1,
        rope: { style: "halves", base: 90, divide: 1, dims: 12 },
      },
    ],
  });
  const { spec, read } = model, tokens = ids(spec.vocab, 420);
  // Sinks that end within eight positions, of which the window has some as well at
  // first, and sinks that end in the second split.
  for (const sink of [4, 270]) {
    const cut = { tokens: 8, blocks: 53, sink, reach: sink + 40 };
    const limits = { bytes: 16 << 20, rows: 210, seqs: 1, wanted: 210, top: 0 };
    await using reference = createReference({ spec, read, limits });
    const want = await driveSequence(reference, spec, { ...cut, chunk: 210 })(
      tokens,
    );
    const apart = async (
      settings: Settings,
      way: { chunk: number; decode?: number },
      reach = cut.reach,
    ): Promise<readonly [most: number, logits: Float32Array]> => {
      await using wasm = await make(model, { context: 430, ...settings });
      const run = driveSequence(wasm, spec, { ...cut, ...way, reach });
      const logits = await run(tokens);
      return [maxAbsDiff(logits, want), logits];
    };
    for (const build of BUILDS) {
      for (const exact of [true, false]) {
        const name = `${sink} sinks, ${build}, ${exact ? "exact" : "fast"}`;
        const bound = exact ? 8e-5 : 6e-2, settings = { build, exact };
        const [most, logits] = await apart(settings, { chunk: 40 });
        assert.ok(most <= bound, `${name}: ${most} > ${bound}`);
        const [far] = await apart(settings, { chunk: 40 }, Infinity);
        assert.ok(far > 0.3, `${name}: ${far} without a reach`);
        for (
          const [threads, way] of [
            // Few rows spread their splits over workers, many do not.
            [3, { chunk: 40, decode: 100 }],
            [1, { chunk: 9 }],
          ] as const
        ) {
          const [, other] = await apart({ ...settings, threads }, way);
          assert.deepEqual(other, logits, name);
        }
      }
    }
  }
});

Deno.test("createWasm() gives the same bits on any number of threads", async () => {
  for (const build of BUILDS) {
    for (const model of ODD) {
      const { spec } = model;
      const all: Float32Array[] = [];
      for (const threads of [1, 2, 5]) {
        await using wasm = await make(model, { build, threads });
        const cut = { tokens: 8, blocks: 6, chunk: 9, decode: 4 };
        all.push(await driveSequence(wasm, spec, cut)(ids(spec.vocab, 37)));
      }
      assert.deepEqual(all[1], all[0]);
      assert.deepEqual(all[2], all[0]);
    }
  }
});

Deno.test("WasmBackend.run() sorts out as many logits as are asked for, ties by lower id", async () => {
  const model = randomModel({ vocab: 131, hidden: 32, tied: true });
  // Three equal rows of the tied output matrix: three equal logits.
  const read = async (name: string): Promise<Float32Array> => {
    const values = await model.read(name);
    if (name === model.spec.output) {
      for (const id of [64, 130]) values.copyWithin(id * 32, 3 * 32, 4 * 32);
    }
    return values;
  };
  for (const threads of [1, 3]) {
    await using wasm = await make({ ...model, read }, { threads });
    const driver = new Driver(wasm, model.spec, { tokens: 8, blocks: 2 });
    const work = [{ seq: 0, from: 0, ids: [3, 1, 2] }];
    for (const top of [1, 4, 128, 1000]) {
      const count = Math.min(top, wasm.limits.top);
      const { logits, topIds, topLogits } = await driver.step(work, top);
      for (let i = 0; i < 3; i++) {
        const row = logits.subarray(i * 131, (i + 1) * 131);
        const order = Array.from(row, (_, id) => id)
          .sort((a, b) => row[b]! - row[a]! || a - b).slice(0, count);
        assert.deepEqual([...topIds[i]!.subarray(0, count)], order);
        assert.deepEqual(
          [...topLogits[i]!.subarray(0, count)],
          order.map((id) => row[id]!),
        );
      }
    }
  }
});

Deno.test("WasmBackend.lines() add up to what the memory holds", async () => {
  for (const exact of [true, false]) {
    await using wasm = await make(ODD[0]!, { exact });
    new Driver(wasm, ODD[0]!.spec, { tokens: 8, blocks: 6 });
    const ledger = new Ledger();
    ledger.register(() => wasm.lines());
    ledger.meter("device", () => wasm.memory.stat());
    ledger.check();
    const owners = new Set(wasm.lines().map((l) => l.owner));
    assert.deepEqual(owners, new Set(["weights", "activations", "workspace"]));
  }
});

Deno.test("WasmBackend.bind() refuses groups that do not cover the layers, and a second call", async () => {
  const { spec } = ODD[0]!;
  const shape = { tokens: 8, layers: 1, kvHeads: 1, headDim: 32 };
  const bad = [
    [],
    [{ layers: [0], shape }, { layers: [0], shape }],
    [{ layers: [0], shape: { ...shape, headDim: 16 } }],
    [{ layers: [0], shape: { ...shape, kvHeads: 3 } }],
    [{ layers: [0], shape: { ...shape, tokens: 12 } }],
    [{ layers: [0], shape: { ...shape, tokens: 65544 } }],
  ];
  await using wasm = await make(ODD[0]!);
  assert.throws(() => wasm.batch, /before "bind"/);
  for (const groups of bad) {
    assert.throws(() => wasm.bind(groups, 4), /Cannot bind layer 0/);
  }
  wasm.bind([{ layers: [0], shape }], 4);
  assert.throws(() => wasm.bind([{ layers: [0], shape }], 4), TypeError);
  assert.ok(spec.layers.length === 1);
});

Deno.test("createWasm() refuses widths that are no whole panels", async () => {
  const layer = { qHeads: 1, kvHeads: 1, headDim: 8, ffn: 8 };
  const bad: [Parameters<typeof randomModel>[0], RegExp][] = [
    [{ hidden: 36, layers: [layer] }, /embedding length is 36/],
    [{ hidden: 32, layers: [layer, { ...layer, ffn: 68 }] }, /layer 1 is 68/],
    [{ hidden: 32, layers: [{ ...layer, headDim: 12 }] }, /head size .* 12/],
  ];
  for (const [options, message] of bad) {
    await assert.rejects(() => make(randomModel(options)), (error: Error) => {
      assert.ok(error instanceof ModelError);
      assert.match(error.message, message);
      return true;
    });
  }
});

Deno.test("createWasm() says which bytes are missing where the budget is too small", async () => {
  for (const bytes of [4096, 1 << 17]) {
    await assert.rejects(
      () => make(ODD[0]!, { bytes }),
      (error: Error) => {
        assert.ok(error instanceof RangeError, String(error));
        assert.match(error.message, /bytes wanted|budget/);
        return true;
      },
    );
  }
});

Deno.test("createWasm() rejects with the cause where a file is missing or short", async () => {
  const { spec } = ODD[0]!;
  const settings = { spec, threads: 2, context: 64, bytes: 64 << 20 };
  await assert.rejects(
    () => createWasm({ ...settings, paths: ["/nowhere/at-all"] }),
    /worker stopped: .*(No such file|not found)/i,
  );
  const path = await Deno.makeTempFile();
  try {
    await Deno.writeFile(path, new Uint8Array(1000));
    await assert.rejects(
      () => createWasm({ ...settings, paths: [path] }),
      /worker stopped: the file ended \d+ bytes early/,
    );
  } finally {
    await Deno.remove(path);
  }
});

Deno.test("createWasm() stops reading and rejects with what onStarted or onProgress throws", async () => {
  const broken = new Error("no such vocabulary");
  let told = 0;
  const onStarted = (): never => {
    throw broken;
  };
  const onProgress = (): void => void told++;
  await assert.rejects(() => make(ODD[0]!, { onStarted, onProgress }), broken);
  const before = told;
  await new Promise((resolve) => setTimeout(resolve, 120));
  assert.equal(told, before, "still told of progress");
  await assert.rejects(
    () => make(ODD[0]!, { onProgress: onStarted }),
    broken,
  );
});
