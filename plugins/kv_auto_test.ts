import assert from "node:assert/strict";
import { type CachePlan, compilePlan } from "../core/plan.ts";
import { PlanError } from "../core/plugin.ts";
import type { AttendKernel } from "../core/slots.ts";
import { FakeBackend } from "../core/testing/fake_backend.ts";
import type { ModelShape } from "../core/types.ts";
import type { Calibration } from "./kv/calibration.ts";
import { kvAuto } from "./kv_auto.ts";

const MODEL: ModelShape = {
  id: "weights",
  layers: Array.from({ length: 4 }, (_, layer) => ({
    layer,
    qHeads: 2,
    kvHeads: 1,
    headDim: 64,
  })),
};

/** The first layer is not to be coded coarsely, the last does not care. */
const MADE: Calibration = {
  model: "weights",
  tokens: 1024,
  centre: MODEL.layers.map(() => new Float32Array(0)),
  losses: {
    int8: 1e-4,
    int4: [
      { k: 1e-1, v: 1e-2 },
      { k: 5e-4, v: 1e-2 },
      { k: 1e-2, v: 5e-4 },
      { k: 1e-4, v: 1e-4 },
    ],
    values: [64, 64, 64, 64],
  },
};

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

async function planOf(
  divergence: number,
  calibration = MADE,
): Promise<CachePlan> {
  const { plan } = await compilePlan({
    model: MODEL,
    backend: new AnyBackend(),
    plugins: [kvAuto({ calibration, divergence })],
  });
  return plan;
}

async function planned(
  divergence: number,
  calibration = MADE,
): Promise<string[]> {
  const plan = await planOf(divergence, calibration);
  return MODEL.layers.map(({ layer }) =>
    plan.groups.find((g) => g.layers.includes(layer))!.codec.id
  );
}

Deno.test("kvAuto() gives each layer what it can bear", async () => {
  assert.deepEqual(await planned(2e-3), [
    "int8h/int8",
    "int4c/int8",
    "int8h/int4h",
    "int4c/int4h",
  ]);
});

Deno.test("kvAuto() codes everything in 4 bits where anything goes, and nothing where nothing does", async () => {
  assert.deepEqual(await planned(1), Array(4).fill("int4c/int4h"));
  assert.deepEqual(await planned(0), Array(4).fill("raw"));
});

Deno.test("kvAuto() leaves layers as they are that even 8 bits are too few for", async () => {
  const [first, ...rest] = await planned(6e-5);
  assert.equal(first, "raw");
  assert.ok(rest.every((id) => id !== "raw"), rest.join());
});

Deno.test("kvAuto() says in the plan what each layer got, and what that costs", async () => {
  const text = (await planOf(2e-3)).explain();
  // 5e-4 + 5e-4 + 1e-4 + 1e-4, and of 1e-4 the share 0.13 / 0.1312 for 8 bits.
  assert.match(text, /^plugins: "kv-auto 0\.002, predicted 0\.0013"$/m);
  assert.match(
    text,
    /^group 1: layers 1,.*\n.*\n.*"int4c\/int8" sealed, fused/m,
  );
  assert.match(text, /codec: "kv-auto 0\.002, predicted 0\.0013"/);
  assert.match(
    (await planOf(0)).explain(),
    /"kv-auto 0, nothing coded keeps to it"/,
  );
});

Deno.test("kvAuto() is the same for the same calibration, and has 0.002 as its default", async () => {
  const [one, two] = [await planOf(2e-3), await planOf(2e-3)];
  assert.equal(one.fingerprint, two.fingerprint);
  assert.equal(one.explain(), two.explain());
  const { name } = kvAuto({ calibration: MADE });
  assert.equal(name, kvAuto({ calibration: MADE, divergence: 2e-3 }).name);
});

Deno.test("kvAuto() refuses what it cannot choose by", async () => {
  const { losses: _, ...none } = MADE;
  assert.throws(() => kvAuto({ calibration: none }), {
    name: "TypeError",
    message: /it has no losses, calibrate again/,
  });
  for (const divergence of [-1, NaN, Infinity]) {
    assert.throws(
      () => kvAuto({ calibration: MADE, divergence }),
      { name: "RangeError", message: /"divergence" of .*from 0 on/ },
    );
  }
  const refused = (calibration: Calibration, wanted: RegExp) =>
    assert.rejects(
      () => planned(1, calibration),
      (e: unknown) => e instanceof PlanError && wanted.test(e.message),
    );
  await refused(
    { ...MADE, model: "others" },
    /of model "others": the model here is "weights"/,
  );
  const { losses } = MADE, int4 = losses!.int4.slice(1);
  await refused(
    { ...MADE, losses: { int8: 0, int4, values: [64, 64, 64] } },
    /losses of 3 layers, not 4/,
  );
  await refused(
    { ...MADE, losses: { ...losses!, values: [64, 64, 128, 64] } },
    /losses of 128 values in layer 2, not of 1 heads of 64/,
  );
});
