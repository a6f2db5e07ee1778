import assert from "node:assert/strict";
import { type CompiledPlan, compilePlan } from "./plan.ts";
import { PlanError, type Plugin } from "./plugin.ts";
import { FakeBackend } from "./testing/fake_backend.ts";
import { fakeModel } from "./testing/fake_plan.ts";
import type { WeightPlan, WeightSizes } from "./weight_plan.ts";

const SIZES: WeightSizes = {
  budget: 1000,
  layers: [10, 20, 10],
  fixed: 5,
  output: 5,
  steps: [{ rows: 8, bytes: 1 }, { rows: 16, bytes: 2 }],
  streaming: { disk: 1, host: 1 },
  leastKv: 1,
  contextKv: 2,
};

const PLAN: WeightPlan = {
  from: "disk",
  streamed: [0, 1],
  depth: 2,
  slotBytes: 20,
  rows: 16,
  notes: ["because"],
};

function placing(place: (sizes: WeightSizes) => WeightPlan): Plugin {
  return {
    name: "placer",
    setup: (host) => host.provide("weights", { id: "placer", place }),
  };
}

function plan(
  plugins: readonly Plugin[],
  sizes: (() => WeightSizes) | "none" = () => SIZES,
): Promise<CompiledPlan> {
  const backend = new FakeBackend();
  const rest = { model: fakeModel(3), backend, plugins };
  return compilePlan(sizes === "none" ? rest : { ...rest, weights: sizes });
}

async function refusal(plugins: readonly Plugin[]): Promise<PlanError> {
  try {
    await plan(plugins);
  } catch (error) {
    assert.ok(error instanceof PlanError, String(error));
    return error;
  }
  throw new Error("the plan was not refused");
}

Deno.test("compilePlan() asks who places weights, with the sizes beside its groups", async () => {
  const seen: WeightSizes[] = [];
  const backend = new FakeBackend();
  const { plan } = await compilePlan({
    model: fakeModel(3),
    backend,
    plugins: [placing((s) => {
      seen.push(s);
      return PLAN;
    })],
    weights: (groups) => ({ ...SIZES, fixed: groups[0]!.layers.length }),
  });
  assert.deepEqual(seen, [{ ...SIZES, fixed: 3 }]);
  assert.deepEqual(plan.weights, PLAN);
  assert.match(
    plan.explain(),
    /weights: layers 0-1 stream from disk through 2 slots of 20 bytes, 1 stay, decided by "placer"\n {2}because/,
  );
});

Deno.test("compilePlan() asks nobody where the backend streams nothing, and no sizes without a plugin", async () => {
  const never = (): never => {
    throw new Error("was asked");
  };
  const asked = await plan([placing(never)], "none");
  assert.equal(asked.plan.weights, undefined);
  assert.match(asked.plan.explain(), /"placer" is not asked/);
  const bare = await plan([], never);
  assert.equal(bare.plan.weights, undefined);
  assert.doesNotMatch(bare.plan.explain(), /weights:/);
});

Deno.test("compilePlan() keeps the fingerprint, wherever weights are", async () => {
  const { plan: bare } = await plan([]);
  const { plan: placed } = await plan([placing(() => PLAN)]);
  assert.equal(placed.fingerprint, bare.fingerprint);
});

Deno.test("compilePlan() reports a placement that has no room, fails or says what cannot be", async () => {
  const full = await refusal([placing(() => {
    throw new RangeError("Cannot fit 7 bytes");
  })]);
  const { code, slot, plugins, message } = full.conflicts[0]!;
  assert.deepEqual([code, slot, plugins], ["budget", "weights", ["placer"]]);
  assert.equal(message, "Cannot fit 7 bytes");
  const broken = await refusal([placing(() => {
    throw new TypeError("oh");
  })]);
  assert.equal(broken.conflicts[0]!.code, "value");
  assert.match(broken.message, /Plugin "placer" failed in slot "weights".*oh/);
  for (
    const [change, message] of [
      [{ streamed: [1, 0] }, /streams layers 1, 0 of 3: they have to ascend/],
      [{ streamed: [1, 1] }, /1, 1/],
      [{ streamed: [2, 3] }, /2, 3 of 3/],
      [{ streamed: [0.5, 1] }, /0.5/],
      [{ depth: 3 }, /3 slots for 2 layers/],
      [{ depth: 0 }, /0 slots/],
      [{ depth: 1.5 }, /1.5 slots/],
      [{ slotBytes: 19 }, /slots of 19 bytes for a layer of 20/],
      [{ rows: 9 }, /steps of 9 rows, 8, 16 are possible/],
      [{ from: "tape" as "disk" }, /from "tape"/],
    ] as const
  ) {
    const { message: said, conflicts } = await refusal([
      placing(() => ({ ...PLAN, ...change })),
    ]);
    assert.equal(conflicts[0]!.code, "value");
    assert.match(said, message);
  }
});

Deno.test("compilePlan() takes one placement of weights", async () => {
  const two = [placing(() => PLAN), { ...placing(() => PLAN), name: "other" }];
  const { conflicts } = await refusal(two);
  assert.deepEqual(conflicts.map((c) => c.code), ["exclusive"]);
  assert.match(conflicts[0]!.message, /"other" and "placer"/);
});

Deno.test("CachePlan.explain() says what the backend makes of weights", async () => {
  const backend = Object.assign(new FakeBackend(), {
    weightNotes: ["3 matrices of A: as B", "1 matrix of C: as D"],
  });
  const { plan } = await compilePlan({
    model: fakeModel(3),
    backend,
    plugins: [],
  });
  assert.match(
    plan.explain(),
    /weights: 3 matrices of A: as B\nweights: 1 matrix of C: as D/,
  );
});

Deno.test("compilePlan() checks a placement that brings experts one by one", async () => {
  const experts = { items: 9, most: 3, bytes: 18, slotBytes: 2 };
  const sizes = {
    ...SIZES,
    experts: { ...experts, streaming: SIZES.streaming },
  };
  const one = { ...PLAN, streamed: [], depth: 0, slotBytes: 0 };
  const compile = (change: Partial<WeightPlan>, known: WeightSizes = sizes) =>
    plan([placing(() => ({ ...one, ...change }))], () => known);
  const slots = (slots: number, slotBytes = 2) => ({
    experts: { slots, slotBytes },
  });
  const { plan: good } = await compile(slots(3));
  assert.match(
    good.explain(),
    /weights: experts come one by one from disk through 3 slots of 2 bytes, decided by "placer"/,
  );
  for (
    const [change, message, known] of [
      [slots(2), /2 slots for 9 experts, of which a step needs up to 3/, sizes],
      [slots(9), /9 slots for 9/, sizes],
      [slots(3.5), /3.5 slots/, sizes],
      [slots(3, 1), /slots of 1 bytes for an expert of 2/, sizes],
      [
        { ...PLAN, ...slots(3) },
        /one by one, and streams layers 0, 1 as a whole/,
        sizes,
      ],
      [slots(3), /there are none/, SIZES],
    ] as const
  ) await assert.rejects(() => compile(change, known), message);
});
