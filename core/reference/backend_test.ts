import assert from "node:assert/strict";
import type { Backend } from "../backend.ts";
import { Ledger } from "../ledger.ts";
import { backendLaws } from "../testing/backend_laws.ts";
import { Driver } from "../testing/drive.ts";
import { toyCodec } from "../testing/toys.ts";
import {
  randomModel,
  type RandomModelOptions,
} from "../testing/random_model.ts";
import {
  createReference,
  referenceBytes,
  type ReferenceLimits,
} from "./backend.ts";

const limits: ReferenceLimits = {
  bytes: 1 << 20,
  rows: 40,
  seqs: 4,
  wanted: 40,
  top: 5,
};

/** Two kinds of layers, so two groups; norms and sharing of heads as Gemma 3. */
const mixed: RandomModelOptions = {
  norms: true,
  tied: true,
  embeddingScale: 5,
  layers: [
    { window: 6, qHeads: 4, kvHeads: 2, activation: "gelu" },
    { qHeads: 4, kvHeads: 2 },
    { window: 6, qHeads: 4, kvHeads: 2 },
  ],
};

function ids(length: number): number[] {
  return Array.from({ length }, (_, i) => (i * i * 7 + i * 3) % 50);
}

function started(): { driver: Driver; backend: Backend } {
  const { spec, read } = randomModel(mixed);
  const backend = createReference({ spec, read, limits });
  return {
    driver: new Driver(backend, spec, { tokens: 4, blocks: 10 }),
    backend,
  };
}

/** Logits of all of `tokens` in one chunk by themselves. */
async function alone(tokens: readonly number[]): Promise<Float32Array> {
  const { driver } = started();
  return (await driver.step([{ seq: 0, from: 0, ids: tokens }])).logits;
}

backendLaws("createReference()", ({ spec, read }) => {
  const bytes = 4 << 20;
  return createReference({ spec, read, limits: { ...limits, bytes } });
}, [toyCodec()]);

Deno.test("Backend.run() gives a wanted row beyond the last a RangeError", async () => {
  const { driver, backend } = started();
  await driver.step([{ seq: 0, from: 0, ids: ids(6) }]);
  const result = await backend.run();
  backend.batch.wanted = 0;
  for (const i of [6, -1, NaN]) {
    assert.throws(() => result.logits(i), /the step had 6/);
    assert.throws(() => result.topIds(i), RangeError);
  }
});

Deno.test("Backend.lines() adds up to what the memory holds, and referenceBytes() foretells it", () => {
  for (const options of [mixed, {}]) {
    const { spec, read } = randomModel(options);
    const groups = options === mixed ? 2 : 1;
    const { bytes: _, ...rest } = limits;
    const bytes = referenceBytes(spec, rest, groups, 7);
    const backend = createReference({ spec, read, limits: { ...rest, bytes } });
    new Driver(backend, spec, { tokens: 4, blocks: 7 });
    const ledger = new Ledger();
    ledger.register(() => backend.lines());
    ledger.meter("device", () => backend.memory.stat());
    ledger.check();
    assert.equal(backend.memory.stat().largestFree, 0);
    const owners = new Set(backend.lines().map((l) => l.owner));
    assert.deepEqual([...owners], ["weights", "activations", "workspace"]);
    assert.throws(
      () => createReference({ spec, read, limits: { ...limits, bytes: 4096 } }),
      /Cannot hold the weights .* raise limits.bytes/,
    );
  }
});

Deno.test("Backend.bind() refuses groups that do not cover the layers, and a second call", () => {
  const { spec, read } = randomModel({});
  const shape = { tokens: 4, layers: 2, kvHeads: 1, headDim: 16 };
  const one = { ...shape, layers: 1 };
  const bad: [Parameters<typeof backend.bind>[0], RegExp][] = [
    [[{ layers: [0], shape: one }], /none has layer 1/],
    [[{ layers: [0, 0], shape }], /it is in group 0 too/],
    [[{ layers: [0, 2], shape }], /the model has 2 layers/],
    [[{ layers: [0, 1], shape: one }], /1 layers of 4 tokens/],
    [[{ layers: [0, 1], shape: { ...shape, headDim: 8 } }], /1 heads of 16/],
    [[{ layers: [0, 1], shape: { ...shape, tokens: 0 } }], /of 0 tokens/],
  ];
  const backend = createReference({ spec, read, limits });
  assert.throws(() => backend.batch, /call bind\(\) first/);
  for (const [groups, message] of bad) {
    assert.throws(() => backend.bind(groups, 4), message);
  }
  backend.bind([{ layers: [1, 0], shape }], 4);
  assert.throws(() => backend.bind([{ layers: [1, 0], shape }], 4), TypeError);
});

Deno.test("Backend.run() refuses a batch out of its ranges and stays usable", async () => {
  const { driver, backend } = started();
  const { batch } = backend;
  await driver.step([{ seq: 0, from: 0, ids: ids(8) }]);
  const bad: [string, () => void][] = [
    ["rows", () => batch.rows = 0],
    ["rows", () => batch.rows = 41],
    ["wanted", () => batch.wanted = 41],
    ["top", () => batch.top = 6],
    ["seqs[2]", () => batch.seqs[2] = 4],
    ["positions[0]", () => batch.positions[0] = -1],
    ["positions[3]", () => batch.positions[3] = 5],
    ["positions[0]", () => batch.positions[0] = 40],
    ["starts[1][2]", () => batch.starts[1]![2] = 3],
    ["sinks[0][1]", () => batch.sinks[0]![1] = -1],
    ["backs[1][3]", () => batch.backs[1]![3] = 4],
    ["wantedRows[1]", () => batch.wantedRows[1] = 0],
    ["wantedRows[7]", () => batch.wantedRows[7] = 8],
    ["sequence 0", () => batch.seqs[3] = 1],
    ["token 50", () => batch.tokens[1] = 50],
    ["position 4", () => batch.tables[1]![1] = 0],
  ];
  for (const [name, spoil] of bad) {
    driver.clear();
    await driver.step([{ seq: 0, from: 0, ids: ids(8) }]);
    spoil();
    await assert.rejects(() => backend.run(), (error: Error) => {
      assert.ok(error instanceof RangeError);
      assert.ok(error.message.includes(name), error.message);
      return true;
    });
  }
  const { logits } = await driver.step([{ seq: 1, from: 0, ids: ids(8) }]);
  assert.deepEqual(logits, await alone(ids(8)));
});

Deno.test("Backend.run() passes a reader's failure on and reads again next time", async () => {
  const { spec, read } = randomModel(mixed);
  let failures = 2;
  const backend = createReference({
    spec,
    limits,
    read: async (name) => {
      if (name === "1.up" && failures-- === 2) throw new Error("disk gone");
      if (name === "1.up" && failures === 0) return new Float32Array(3);
      return await read(name);
    },
  });
  const driver = new Driver(backend, spec, { tokens: 4, blocks: 10 });
  const step = () => driver.step([{ seq: 0, from: 0, ids: ids(5) }]);
  await assert.rejects(step, /disk gone/);
  await assert.rejects(step, /"1.up": its reader gave 3 values, wanted 768/);
  assert.deepEqual((await step()).logits, await alone(ids(5)));
});

Deno.test("Backend.run() runs one step at a time and none once closed", async () => {
  const { driver, backend } = started();
  const running = driver.step([{ seq: 0, from: 0, ids: ids(5) }]);
  await assert.rejects(() => backend.run(), /the backend is running/);
  await running;
  const cut = backend.run();
  await backend[Symbol.asyncDispose]();
  await cut;
  await assert.rejects(() => backend.run(), /the backend is closed/);
  const { driver: late, backend: closing } = started();
  const lost = late.step([{ seq: 0, from: 0, ids: ids(5) }]);
  await closing[Symbol.asyncDispose]();
  await assert.rejects(lost, /the backend was closed/);
});

Deno.test("createReference() refuses a model that lacks a tensor or has another shape", () => {
  const { spec, read } = randomModel();
  const without = new Map(spec.tensors);
  without.delete("1.down");
  const bent = new Map(spec.tensors);
  bent.set("0.q", { ...spec.tensors.get("0.q")!, outputs: 31 });
  for (
    const [tensors, message] of [
      [without, /layer 1 wants tensor "1.down" of 32 rows of 24, .* none/],
      [bent, /"0.q" of 32 rows of 32, the model has 31 rows of 32/],
    ] as const
  ) {
    assert.throws(
      () => createReference({ spec: { ...spec, tensors }, read, limits }),
      message,
    );
  }
});

Deno.test("Backend.kernels offer the raw format and say why not another", () => {
  const { backend } = started();
  const layer = { layer: 0, qHeads: 1, kvHeads: 1, headDim: 8 };
  const [kernel] = backend.kernels;
  assert.ok(kernel!.supports(backend.rawFormat, layer, 4).ok);
  assert.deepEqual(kernel!.supports("int8", layer, 4), {
    ok: false,
    why: 'the reference backend reads f32, not "int8"',
  });
});
