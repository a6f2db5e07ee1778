import assert from "node:assert/strict";
import { compilePlan, type PlanOptions } from "./plan.ts";
import { PlanError, type Plugin } from "./plugin.ts";
import type { AttendKernel } from "./slots.ts";
import { FakeBackend, type FakeOptions } from "./testing/fake_backend.ts";
import {
  codecPlugin,
  fakeCodec,
  type FakeCodecOptions,
} from "./testing/fake_codec.ts";
import { fakeModel, fakePlan, layoutPlugin } from "./testing/fake_plan.ts";
import { memoryTier, tierPlugin } from "./testing/memory_tier.ts";

const FUSED: FakeOptions = { fused: ["fake"] };

async function refusal(
  plugins: readonly Plugin[],
  options: FakeOptions & Pick<PlanOptions, "strict"> = {},
): Promise<PlanError> {
  const backend = new FakeBackend(options);
  const { strict = false } = options;
  try {
    await compilePlan({ model: fakeModel(3), backend, plugins, strict });
  } catch (e) {
    assert.ok(e instanceof PlanError, String(e));
    return e;
  }
  throw new Error("the plan was not refused");
}

function coded(options: FakeCodecOptions = {}): Plugin {
  return codecPlugin(fakeCodec({ lossy: true, ...options }));
}

/** A layout with a choice. */
function sizes(blockTokens: number, ...alternatives: number[]): Plugin {
  return {
    name: "sizes",
    setup: (host) =>
      host.provide("layout", { id: "sizes", blockTokens, alternatives }),
  };
}

async function tokens(
  plugins: readonly Plugin[],
  options: FakeOptions = FUSED,
): Promise<number> {
  return (await fakePlan(plugins, options)).plan.groups[0]!.shape.tokens;
}

Deno.test("compilePlan() fuses a codec where a kernel reads it in every layer", async () => {
  const { plan } = await fakePlan([layoutPlugin(4), coded()], FUSED);
  const g = plan.groups[0]!;
  assert.equal(g.fused?.id, "fake");
  assert.equal(g.kernels.get("fake")!.id, "fake-attend");
  assert.deepEqual([g.blockBytes, g.sealedBytes], [64, 32]);
  assert.deepEqual([g.rounds, g.keepFirst, plan.stepTokens], [false, 0, []]);
  assert.deepEqual(g.shape.layerIds, [0, 1]);
});

Deno.test("compilePlan() rounds in place where no kernel reads a codec, unless it is lossless", async () => {
  const { plan } = await fakePlan([layoutPlugin(4), coded({ keepFirst: 2 })]);
  const g = plan.groups[0]!;
  assert.equal(g.fused, undefined);
  assert.deepEqual([g.rounds, g.keepFirst, plan.stepTokens], [true, 2, [4]]);
  assert.equal(g.sealedBytes, g.blockBytes);
  const same = await fakePlan([layoutPlugin(4), coded({ lossy: false })]);
  assert.equal(same.plan.groups[0]!.rounds, false);
  assert.deepEqual(same.plan.stepTokens, []);
});

Deno.test("compilePlan() takes a codec that is the backend's own format for none", async () => {
  const bare = await fakePlan([layoutPlugin(4)]);
  for (const id of ["raw", "f32"]) {
    const { plan } = await fakePlan([layoutPlugin(4), coded({ id })]);
    const g = plan.groups[0]!;
    assert.deepEqual([g.codec.id, g.fused, g.rounds], [
      "raw",
      undefined,
      false,
    ]);
    assert.equal(plan.fingerprint, bare.plan.fingerprint);
    assert.match(plan.explain(), new RegExp(`"${id}" is what open blocks are`));
  }
});

Deno.test("compilePlan() gives a codec as many tokens in a block as it asks for", async () => {
  const want = (blockTokens: number) => coded({ blockTokens });
  assert.equal(await tokens([sizes(4, 8, 16, 32), coded()]), 4);
  assert.equal(await tokens([sizes(4, 8, 16, 32), want(8)]), 8);
  assert.equal(await tokens([sizes(4, 8, 16, 32), want(9)]), 16);
  assert.equal(await tokens([sizes(4, 8, 16, 32), want(64)]), 4);
  assert.equal(await tokens([layoutPlugin(4), want(64)]), 4, "no choice");
  // Without a kernel as well.
  assert.equal(await tokens([sizes(4, 8), want(8)], {}), 8);
  assert.equal(await tokens([sizes(4, 8)], {}), 4);
});

Deno.test("compilePlan() looks for blocks that the codec takes and a kernel reads", async () => {
  const even = coded({
    supports: (_, n) =>
      n % 8 === 0 ? { ok: true, cost: 1 } : { ok: false, why: "not by 8" },
  });
  assert.equal(await tokens([sizes(4, 12, 24), even]), 24);
  const kernel = (id: string, most: number): AttendKernel => ({
    id,
    backend: "reference",
    supports: (format, _, n) =>
      format === id && n <= most
        ? { ok: true, cost: 1 }
        : { ok: false, why: `reads ${id} up to ${most}` },
  });
  const kernels: Plugin = {
    name: "kernels",
    setup(host) {
      host.provide("kernel", kernel("f32", 16));
      host.provide("kernel", kernel("fake", 8));
    },
  };
  const choice = sizes(32, 16, 8, 4);
  assert.equal(await tokens([choice, kernels], {}), 16);
  assert.equal(await tokens([choice, kernels, coded()], {}), 8);
  assert.equal(
    await tokens([choice, kernels, coded({ blockTokens: 16 })], {}),
    8,
  );
});

Deno.test("compilePlan() refuses blocks that a codec does not take, with layers and reason", async () => {
  const e = await refusal([
    layoutPlugin(4),
    coded({
      supports: (l, n) =>
        l.layer === 1
          ? { ok: true, cost: 1 }
          : { ok: false, why: `${n} are too few` },
    }),
  ], FUSED);
  assert.deepEqual(
    e.conflicts.map((c) => [c.code, c.slot, c.plugins]),
    [["value", "codec", ["codec-fake"]]],
  );
  assert.match(
    e.message,
    /codec "fake" of plugin "codec-fake" does not take layers 0, 2 with 4 tokens per block: 4 are too few/,
  );
  const below = await refusal([
    layoutPlugin(4),
    tierPlugin(memoryTier(100)),
    codecPlugin(
      fakeCodec({ supports: () => ({ ok: false, why: "never" }) }),
      { tier: "memory-1" },
    ),
  ]);
  assert.match(below.message, /"codec-fake-memory-1" does not take layers 0-2/);
  for (const keepFirst of [-1, 0.5, NaN]) {
    const odd = await refusal([layoutPlugin(4), coded({ keepFirst })]);
    assert.match(odd.message, /keeps the first (-1|0.5|NaN) blocks open/);
  }
});

Deno.test("compilePlan() refuses a lossy codec that neither a kernel nor anybody else can apply", async () => {
  const opens = false;
  for (const options of [{ opens }, { opens, fused: ["other"] }]) {
    const e = await refusal([layoutPlugin(4), coded()], options);
    assert.deepEqual(e.conflicts.map((c) => c.code), ["kernel"]);
    assert.match(e.message, /no kernel of backend "reference" reads "fake"/);
  }
  const strict = await refusal([layoutPlugin(4), coded()], { strict: true });
  assert.match(strict.message, /reads "fake"/);
  await fakePlan([layoutPlugin(4), coded({ lossy: false })], { opens });
});

Deno.test("compilePlan() changes the fingerprint with what is coded and how", async () => {
  const centred = (value: number, name = "centred"): Plugin => ({
    name,
    setup: (host) =>
      host.provide(
        "codec",
        fakeCodec({
          lossy: true,
          centre: (l) => l === 2 ? Float32Array.of(value) : undefined,
        }),
      ),
  });
  const lists = [
    [],
    [coded()],
    [coded({ id: "other" })],
    [coded({ keepFirst: 1 })],
    [centred(1)],
    [centred(2)],
  ];
  const prints = new Set<string>();
  for (const list of lists) {
    const { plan } = await fakePlan([layoutPlugin(4), ...list], {
      fused: ["fake", "other"],
      layers: 3,
    });
    prints.add(plan.fingerprint);
    assert.equal(plan.groups.length, 1, "each layer has its own, in one group");
  }
  assert.equal(prints.size, lists.length);
});

Deno.test("compilePlan() gives each open block of a sealed group a slab of its own", async () => {
  const model = fakeModel(2);
  const plans = [];
  for (const plugins of [[layoutPlugin(4)], [layoutPlugin(4), coded()]]) {
    const backend = Object.assign(new FakeBackend(FUSED), {
      slab: () => ({ blocks: 5, parts: 4 }),
    });
    const { plan } = await compilePlan({ model, backend, plugins });
    plans.push(plan.groups[0]!.slab);
  }
  assert.deepEqual(plans, [{ blocks: 5, parts: 4 }, { blocks: 1, parts: 4 }]);
});

Deno.test("CachePlan.explain() says how full blocks are sealed and what that saves", async () => {
  const text = async (list: readonly Plugin[], options?: FakeOptions) =>
    (await fakePlan([layoutPlugin(4), ...list], options)).plan.explain();
  const fused = await text([coded({ keepFirst: 2 })], FUSED);
  assert.match(
    fused,
    /format: "f32" open, "fake" sealed, fused: 32 bytes \(8.0 per token, 0.500 of "f32"\)/,
  );
  assert.match(fused, /the first 2 blocks stay open/);
  assert.match(fused, /kernel for "fake": "fake-attend"/);
  const rounded = await text([coded({ keepFirst: 1 })]);
  assert.match(rounded, /decoded in place, no bytes saved/);
  assert.match(rounded, /the first 1 block stays open/);
  assert.match(rounded, /note: no kernel reads "fake"/);
  assert.match(
    await text([coded({ lossy: false })]),
    /"fake" sealed, which changes no value and saves no bytes here/,
  );
  assert.match(await text([]), /"f32" open, full blocks stay as they are/);
});
