import assert from "node:assert/strict";
import type { AttendKernel } from "./slots.ts";
import { compilePlan } from "./plan.ts";
import { PlanError, type Plugin } from "./plugin.ts";
import { FakeBackend } from "./testing/fake_backend.ts";
import {
  fakeModel,
  fakePlan,
  indexPlugin,
  layoutPlugin,
  windowPlugin,
  windowRetention,
} from "./testing/fake_plan.ts";

async function refusal(
  plugins: readonly Plugin[],
  backend: FakeBackend = new FakeBackend(),
): Promise<PlanError> {
  try {
    await compilePlan({ model: fakeModel(3), backend, plugins });
  } catch (e) {
    assert.ok(e instanceof PlanError, String(e));
    return e;
  }
  throw new Error("the plan was not refused");
}

function shuffled<T>(list: readonly T[], seed: number): T[] {
  const out = [...list];
  let x = seed;
  for (let i = out.length - 1; i > 0; i--) {
    x = (Math.imul(x, 1103515245) + 12345) >>> 0;
    const j = x % (i + 1);
    [out[i], out[j]] = [out[j]!, out[i]!];
  }
  return out;
}

Deno.test("compilePlan() without plugins uses the defaults for every layer", async () => {
  const { plan } = await fakePlan([], { layers: 5 });
  assert.equal(plan.groups.length, 1);
  const g = plan.groups[0]!;
  assert.deepEqual(g.layers, [0, 1, 2, 3, 4]);
  assert.deepEqual(g.shape, {
    tokens: 32,
    layers: 5,
    kvHeads: 1,
    headDim: 1,
    layerIds: [0, 1, 2, 3, 4],
  });
  assert.equal(g.blockBytes, 32 * 5 * 8);
  assert.equal(g.codec.id, "raw");
  assert.ok(Object.isFrozen(plan));
});

Deno.test("compilePlan() gives one plan for every order of registration", async () => {
  const plugins = [
    layoutPlugin(8, (l) => l.layer < 2),
    layoutPlugin(16, (l) => l.layer >= 2),
    windowPlugin(20, 4, (l) => l.layer % 2 === 0),
    windowPlugin(50, 0, (l) => l.layer === 3),
    windowPlugin(30, 0, (l) => l.layer === 3),
    indexPlugin(),
  ];
  const first = await fakePlan(plugins, { layers: 6 });
  for (let seed = 0; seed < 20; seed++) {
    const { plan } = await fakePlan(shuffled(plugins, seed), { layers: 6 });
    assert.equal(plan.fingerprint, first.plan.fingerprint);
    assert.equal(plan.explain(), first.plan.explain());
    assert.deepEqual(
      plan.groups.map((g) => g.layers),
      first.plan.groups.map((g) => g.layers),
    );
  }
});

Deno.test("compilePlan() joins the layers that resolve to the same", async () => {
  const { plan } = await fakePlan([
    windowPlugin(20, 0, (l) => l.layer % 3 !== 2),
  ], { layers: 6 });
  assert.deepEqual(plan.groups.map((g) => g.layers), [[0, 1, 3, 4], [2, 5]]);
  assert.equal(plan.groups[0]!.sight.start(100), 81);
  assert.ok(plan.groups[1]!.sight.full);
});

Deno.test("compilePlan() changes the fingerprint with anything that changes bytes", async () => {
  const lists = [
    [],
    [layoutPlugin(16)],
    [windowPlugin(20)],
    [windowPlugin(20, 4)],
    [windowPlugin(20, 0, (l) => l.layer === 0)],
  ];
  const prints = new Set<string>();
  for (const plugins of lists) {
    prints.add((await fakePlan(plugins)).plan.fingerprint);
  }
  prints.add((await fakePlan([], { layers: 3 })).plan.fingerprint);
  assert.equal(prints.size, 6);
  const indexed = await fakePlan([indexPlugin()]);
  assert.ok(prints.has(indexed.plan.fingerprint), "an index changes no bytes");
});

Deno.test("compilePlan() tells retentions with equal names apart by what they see", async () => {
  const twins = [3, 5].map((window): Plugin => ({
    name: `w${window}`,
    setup: (host) =>
      host.provide("retention", { ...windowRetention(window), id: "twin" }, {
        layers: (l) => l.layer === (window === 3 ? 0 : 1),
      }),
  }));
  assert.equal((await fakePlan(twins)).plan.groups.length, 2);
});

Deno.test("compilePlan() reports every conflict at once", async () => {
  const tier = (name: string, rank: number): Plugin => ({
    name,
    setup: (host) =>
      host.provide("tier", {
        id: name,
        rank,
        capacity: 1,
        put: () => {},
        get: () => "lost",
        drop: () => {},
      }),
  });
  const e = await refusal([
    layoutPlugin(8),
    layoutPlugin(16),
    indexPlugin(),
    { ...indexPlugin(), name: "index2" },
    { name: "lonely", requires: ["friend"], setup: () => {} },
    tier("ram", 1),
    tier("disk", 1),
    tier("device2", 0),
    windowPlugin(0),
    { name: "same", setup: () => {} },
    { name: "same", setup: () => {} },
    {
      name: "scores",
      setup: (host) =>
        host.provide("retention", {
          ...windowRetention(9),
          id: "heavy",
          inputs: ["scores"],
        }),
    },
    {
      name: "broken",
      setup() {
        throw new RangeError("out of luck");
      },
    },
  ]);
  const codes = e.conflicts.map((c) => c.code).sort();
  assert.deepEqual(codes, [
    "exclusive",
    "exclusive",
    "input",
    "missing",
    "rank",
    "rank",
    "setup",
    "twice",
    "value",
  ]);
  assert.match(e.message, /plugin "broken" failed in setup: out of luck/);
  assert.match(e.message, /"lonely" requires "friend"/);
  assert.match(e.message, /"layout-16" and "layout-8"/);
  assert.match(e.message, /"window\/0\/0" of plugin "window-0-0"/);
  assert.ok(e.cause instanceof RangeError);
});

Deno.test("compilePlan() names plugin and slot where provide() fails", async () => {
  const e = await refusal([{
    name: "odd",
    setup: (host) =>
      host.provide("layout", { id: "x", blockTokens: 4 }, {
        layers: () => {
          throw new Error("no such layer");
        },
      }),
  }, {
    name: "unknown",
    // deno-lint-ignore no-explicit-any
    setup: (host) => host.provide("wheel" as any, {} as any),
  }]);
  assert.deepEqual(e.conflicts.map((c) => [c.plugins[0], c.slot, c.code]), [
    ["odd", "layout", "setup"],
    ["unknown", "wheel", "setup"],
  ]);
});

Deno.test("compilePlan() refuses block sizes that cannot be", async () => {
  for (const blockTokens of [0, -1, 1.5, NaN, 1 << 20]) {
    const e = await refusal([layoutPlugin(blockTokens)]);
    assert.deepEqual(e.conflicts.map((c) => c.code), ["value"]);
  }
  const e = await refusal([{
    name: "multiple",
    setup: (host) =>
      host.provide("layout", { id: "x", blockTokens: 24, multipleOf: 16 }),
  }]);
  assert.match(e.message, /blocks of 24 tokens.*multiple of 16/);
});

Deno.test("compilePlan() lets a plugin replace another on purpose", async () => {
  const { plan } = await fakePlan([
    { ...layoutPlugin(8), replaces: ["layout-16"] },
    layoutPlugin(16),
  ]);
  assert.equal(plan.groups[0]!.shape.tokens, 8);
  const e = await refusal([
    { ...layoutPlugin(8), replaces: ["layout-16"] },
    { ...layoutPlugin(16), replaces: ["layout-8"] },
  ]);
  assert.equal(e.conflicts[0]!.code, "exclusive");
});

Deno.test("compilePlan() takes the cheapest kernel and notes why others declined", async () => {
  const kernel = (id: string, cost: number, most: number): AttendKernel => ({
    id,
    backend: "reference",
    supports: (format, _layer, tokens) =>
      format !== "f32"
        ? { ok: false, why: `reads f32, not ${format}` }
        : tokens > most
        ? { ok: false, why: `reads up to ${most} tokens` }
        : { ok: true, cost },
  });
  const plugin: Plugin = {
    name: "kernels",
    setup(host) {
      host.provide("kernel", kernel("slow", 5, 1000));
      host.provide("kernel", kernel("fast", 1, 16));
    },
  };
  const small = await fakePlan([plugin, layoutPlugin(16)]);
  assert.equal(small.plan.groups[0]!.kernels.get("raw")!.id, "fast");
  const large = await fakePlan([plugin]);
  assert.equal(large.plan.groups[0]!.kernels.get("raw")!.id, "slow");
  assert.match(large.plan.explain(), /"fast" declined "f32": reads up to 16/);
  const e = await refusal([plugin, layoutPlugin(2000)]);
  assert.deepEqual(e.conflicts.map((c) => c.code), ["kernel"]);
});

Deno.test("CompiledPlan.close() runs onClose last first and aborts the signal", async () => {
  const order: string[] = [];
  let signal: AbortSignal | undefined;
  const plugin = (name: string): Plugin => ({
    name,
    setup(host) {
      signal = host.signal;
      host.onClose(() => void order.push(name));
    },
  });
  const { close } = await fakePlan([plugin("a"), plugin("b"), plugin("c")]);
  await close();
  assert.deepEqual(order, ["c", "b", "a"]);
  assert.ok(signal!.aborted);
  order.length = 0;
  const failing: Plugin = {
    name: "d",
    setup(host) {
      host.onClose(() => {
        throw new Error("stuck");
      });
    },
  };
  const other = await fakePlan([plugin("a"), failing]);
  await assert.rejects(other.close(), /Cannot close plugin "d": stuck/);
  assert.deepEqual(order, ["a"]);
  order.length = 0;
  await refusal([plugin("a"), windowPlugin(0)]);
  assert.deepEqual(order, ["a"], "a refused plan closes what was set up");
});

Deno.test("CachePlan.explain() names plugins, groups, bytes and notes", async () => {
  const { plan } = await fakePlan([
    windowPlugin(20, 4, (l) => l.layer > 0),
    indexPlugin(),
  ], { layers: 4 });
  const text = plan.explain();
  for (
    const part of [
      plan.fingerprint,
      '"index", "window-20-4"',
      "group 0: layers 0, 1 KV heads",
      "group 1: layers 1-3",
      "768 bytes (24 per token)",
      'queries see "window/20/4"',
      "the backend reads",
      "tiers: device",
    ]
  ) assert.ok(text.includes(part), `${part} in\n${text}`);
});
