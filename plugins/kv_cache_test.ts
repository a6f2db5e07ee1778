import assert from "node:assert/strict";
import { compilePlan } from "../core/plan.ts";
import { PlanError, type Plugin } from "../core/plugin.ts";
import type { AttendKernel, Codec } from "../core/slots.ts";
import { FakeBackend } from "../core/testing/fake_backend.ts";
import { provided } from "../core/testing/suites/suite.ts";
import type { ModelShape } from "../core/types.ts";
import { kvCache, type KvCacheOptions, type KvFormat } from "./kv_cache.ts";
import { kvF16 } from "./kv_f16.ts";
import { kvFp4 } from "./kv_fp4.ts";
import { kvInt4 } from "./kv_int4.ts";
import { kvInt8 } from "./kv_int8.ts";
import type { Calibration } from "./kv/calibration.ts";

const MODEL: ModelShape = {
  id: "weights",
  layers: Array.from(
    { length: 6 },
    (_, layer) => ({ layer, qHeads: 3, kvHeads: 1, headDim: 64 }),
  ),
};

const CENTRE: Calibration = {
  model: "weights",
  tokens: 100,
  centre: MODEL.layers.map(({ layer }) =>
    new Float32Array(layer === 1 ? 0 : 64).fill(layer)
  ),
};

function codecOf(plugin: Plugin): Promise<Codec> {
  return provided(plugin, "codec", { model: MODEL });
}

/** A backend whose kernel reads every format. */
class AnyBackend extends FakeBackend {
  override readonly kernels: never[];

  constructor() {
    super();
    const kernel: AttendKernel = {
      id: "any",
      backend: this.id,
      supports: () => ({ ok: true, cost: 1 }),
    };
    this.kernels = [kernel as never];
  }
}

/** Codec of each layer in the plan. */
async function planned(plugins: readonly Plugin[]): Promise<string[]> {
  const backend = new AnyBackend();
  const { plan } = await compilePlan({ model: MODEL, backend, plugins });
  return MODEL.layers.map(({ layer }) =>
    plan.groups.find((g) => g.layers.includes(layer))!.codec.id
  );
}

Deno.test("kvCache() keeps K and V in formats of their own", async () => {
  const ids: readonly (readonly [KvFormat, KvFormat, string])[] = [
    ["int8", "int8", "int8h/int8"],
    ["int8", "int4", "int8h/int4h"],
    ["int4", "int8", "int4c/int8"],
    ["int4", "int4", "int4c/int4h"],
    ["fp4", "fp4", "nvfp4h"],
    ["nvfp4", "mxfp4", "nvfp4h/mxfp4h"],
    ["mxfp4", "mxfp4", "mxfp4h"],
    ["f16", "f16", "f16"],
    ["f16", "fp4", "f16/nvfp4h"],
  ];
  for (const [k, v, id] of ids) {
    const plugin = kvCache({ k, v });
    assert.equal((await codecOf(plugin)).id, id);
    assert.equal(plugin.name, `kv-cache ${id}`);
  }
  const still = kvCache({ k: "int8", v: "int4", rotate: false });
  assert.equal((await codecOf(still)).id, "int8/int4");
});

Deno.test("kvInt8(), kvInt4(), kvFp4() and kvF16() are kvCache() of these formats", async () => {
  const pairs: readonly (readonly [Plugin, KvCacheOptions])[] = [
    [kvInt8(), { k: "int8", v: "int8" }],
    [kvInt8({ rotate: true }), { k: "int8", v: "int8", rotate: true }],
    [kvInt8({ rotate: false }), { k: "int8", v: "int8", rotate: false }],
    [kvInt4({ rotate: false }), { k: "int4", v: "int4", rotate: false }],
    [kvFp4({ rotate: false }), { k: "fp4", v: "fp4", rotate: false }],
    [kvInt4({ keepFirst: 1 }), { k: "int4", v: "int4", keepFirst: 1 }],
    [kvFp4(), { k: "fp4", v: "fp4" }],
    [
      kvFp4({ format: "mxfp4", layers: [2] }),
      { k: "mxfp4", v: "mxfp4", layers: [2] },
    ],
    [kvF16(), { k: "f16", v: "f16" }],
  ];
  for (const [plugin, options] of pairs) {
    const same = kvCache(options);
    assert.equal(plugin.name, same.name);
    const [a, b] = [await codecOf(plugin), await codecOf(same)];
    assert.deepEqual([a.id, a.keepFirst, a.blockTokens], [
      b.id,
      b.keepFirst,
      b.blockTokens,
    ]);
  }
  assert.equal((await codecOf(kvInt4())).blockTokens, 64);
});

Deno.test("kvCache() several times: each for its layers", async () => {
  assert.deepEqual(
    await planned([
      kvCache({ k: "int8", v: "int8", layers: [3, 0, 1, 0] }),
      kvCache({ k: "int8", v: "int4", layers: [2] }),
      kvInt4({ layers: (l) => l.layer > 4 }),
    ]),
    [
      "int8h/int8",
      "int8h/int8",
      "int8h/int4h",
      "int8h/int8",
      "raw",
      "int4c/int4h",
    ],
  );
});

Deno.test("kvCache() has all in its name that tells it from others", () => {
  const names = [
    kvCache({ k: "int8", v: "int4", layers: [3, 0, 1, 0, 5] }),
    kvInt8({ layers: () => true, keepFirst: 2 }),
    kvFp4({ centre: CENTRE }),
  ].map((p) => p.name);
  assert.deepEqual(names, [
    "kv-cache int8h/int4h layers 0-1, 3, 5",
    "kv-cache int8h/int8 layers by choice keep 2",
    "kv-cache nvfp4h centred",
  ]);
});

Deno.test("kvCache() twice for one layer is a conflict that names both", async () => {
  await assert.rejects(
    () => planned([kvInt8({ layers: [1, 2] }), kvInt4({ layers: [2, 3] })]),
    (e: unknown) =>
      e instanceof PlanError && e.conflicts.length === 1 &&
      e.conflicts[0]!.code === "exclusive" &&
      /layer 2: claimed by "kv-cache int4c\/int4h layers 2-3" and "kv-cache int8h\/int8 layers 1-2"/
        .test(e.message),
  );
  await assert.rejects(() => planned([kvInt8(), kvInt8()]), /twice/);
});

Deno.test("kvCache() hands its centre and its first blocks to the codec", async () => {
  const codec = await codecOf(kvFp4({ centre: CENTRE, keepFirst: 3 }));
  assert.equal(codec.keepFirst, 3);
  assert.equal(codec.centre!(4), CENTRE.centre[4]);
  assert.equal(codec.centre!(1), undefined, "left alone");
  assert.equal(codec.centre!(6), undefined, "no such layer");
  assert.equal((await codecOf(kvFp4())).centre, undefined);
});

Deno.test("kvCache() refuses a calibration of another model, and names both", async () => {
  const centre = { ...CENTRE, model: "others" };
  await assert.rejects(
    () => planned([kvFp4({ centre })]),
    (e: unknown) =>
      e instanceof PlanError && e.conflicts[0]!.code === "setup" &&
      e.conflicts[0]!.plugins[0] === "kv-cache nvfp4h centred" &&
      /of model "others": the model here is "weights"/.test(e.message),
  );
});

Deno.test("kvCache() refuses settings that mean nothing", () => {
  const refused = (make: () => Plugin, wanted: RegExp) =>
    assert.throws(
      make,
      (e: unknown) => e instanceof RangeError && wanted.test(e.message),
      `${wanted}`,
    );
  for (const keepFirst of [-1, 0.5, NaN, Infinity]) {
    refused(
      () => kvInt8({ keepFirst }),
      new RegExp(`"keepFirst" ${keepFirst}: a whole number of blocks from 0`),
    );
  }
  for (const layers of [[], [-1], [0, 1.5], [NaN, 2]]) {
    refused(() => kvInt8({ layers }), /"layers" \[.*\]: at least one whole/);
  }
  const odd = "int5" as KvFormat;
  refused(
    () => kvCache({ k: odd, v: "int8" }),
    /keep K as "int5": one of "int8", "int4"/,
  );
  refused(() => kvCache({ k: "int8", v: odd }), /keep V as "int5": one of/);
  refused(
    () => kvCache({ k: "int8", v: "toString" as KvFormat }),
    /V as "toString"/,
  );
  refused(() => kvFp4({ format: odd as "nvfp4" }), /as "int5": "nvfp4" or/);
});

Deno.test("kvCache() refuses layers that the model has not", async () => {
  await assert.rejects(
    () => planned([kvInt8({ layers: [2, 6] })]),
    /failed in setup: Cannot code K and V of layer 6: the model has layers 0 to 5/,
  );
});
