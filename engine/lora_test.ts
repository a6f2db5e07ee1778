import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { checkpointing } from "../plugins/checkpointing.ts";
import { cpuOffload } from "../plugins/cpu_offload.ts";
import { fairShare } from "../plugins/fair_share.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { promptLookup } from "../plugins/prompt_lookup.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import { weightOffload } from "../plugins/weight_offload.ts";
import type { AdapterOptions } from "./adapters.ts";
import type { Engine } from "./engine.ts";
import type { GenerateOptions, LoadOptions } from "./options.ts";
import { make } from "./testing/sessions.ts";
import { withLora } from "./testing/lora_engine.ts";

/** Every way to use the adapters; none twice. */
const USES: readonly AdapterOptions[] = [
  {},
  { adapter: "a" },
  { adapters: ["b"] },
  { adapters: [{ name: "b", scale: 0.5 }, "a"] },
  { adapters: [{ name: "a", scale: -1 }] },
  { adapters: [] },
];

const VOCAB = 48;

function ids(length: number, seed = 0): number[] {
  return Array.from(
    { length },
    (_, i) => 2 + (i * i * 5 + i + 3 * seed) % (VOCAB - 2),
  );
}

/** A request of each use, the same text for all but its end. */
const REQUESTS: readonly GenerateOptions[] = USES.map((use, i) => ({
  ...use,
  tokens: [...ids(37), 2 + i],
  maxTokens: 18,
  ignoreEos: true,
  temperature: 1,
  topK: 0,
  topP: 1,
  minP: 0,
  seed: 7 + i,
}));

async function tokensOf(
  engine: Engine,
  request: GenerateOptions,
): Promise<readonly number[]> {
  return (await make(engine, request)).tokens;
}

/** All at once, some of them pushed aside now and then. */
async function together(engine: Engine): Promise<(readonly number[])[]> {
  const roll = dice(5);
  let over = false;
  const all = Promise.all(REQUESTS.map((r) => tokensOf(engine, r)))
    .finally(() => over = true);
  while (!over) {
    engine.scheduler.preempt(`request-${roll(2 * REQUESTS.length)}`);
    await new Promise((resolve) => setTimeout(resolve));
  }
  return await all;
}

const paged = () => pagedAttention({ blockTokens: 8 });

/** Plugins that are compared with the same ones, one request at a time. */
const KINDS: Readonly<Record<string, (() => Plugin[])>> = {
  plain: () => [],
  prefix: () => [prefixCache()],
  window: () => [prefixCache(), slidingWindow({ window: 12, sinks: 3 })],
  int8: () => [prefixCache(), kvInt8()],
  offload: () => [prefixCache(), cpuOffload({ bytes: 1 << 20 }), fairShare()],
  checkpoints: () => [
    prefixCache(),
    checkpointing({ every: 1, bytes: 1 << 20 }),
  ],
  lookup: () => [prefixCache(), promptLookup()],
  streams: () => [prefixCache(), weightOffload({ resident: 0 })],
};

const RUNS: readonly (readonly [string, LoadOptions])[] = [
  ["reference", { backend: "reference" }],
  ["simd", { build: "simd" }],
  ["relaxed", { build: "relaxed", precision: "exact", threads: 3 }],
];

Deno.test("requests with adapters give the tokens they give alone, under all plugins", async (t) => {
  await withLora(async (open) => {
    for (const [name, options] of RUNS) {
      for (const [kind, plugins] of Object.entries(KINDS)) {
        if (name === "reference" && kind === "streams") continue;
        await t.step(`${name}, ${kind}`, async () => {
          const alone: (readonly number[])[] = [];
          for (const request of REQUESTS) {
            await using engine = await open({
              ...options,
              plugins: [
                paged(),
                ...plugins().filter(({ name }) => /kv|window/i.test(name)),
              ],
            });
            alone.push(await tokensOf(engine, request));
          }
          assert.equal(new Set(alone.map(String)).size, alone.length);
          await using engine = await open({
            ...options,
            plugins: [paged(), ...plugins()],
          });
          assert.deepEqual(await together(engine), alone);
          assert.deepEqual(await together(engine), alone, "once more");
          engine.check();
        });
      }
    }
  });
});

Deno.test("requests that name no adapter have the bits of an engine without any", async () => {
  await withLora(async (open) => {
    for (const options of [{}, { backend: "reference" }] as LoadOptions[]) {
      await using bare = await open({ ...options, adapters: {} });
      await using engine = await open(options);
      assert.equal(engine.plan.fingerprint, bare.plan.fingerprint);
      const tokens = ids(30);
      const rows = "all";
      assert.deepEqual(
        await engine.logits(tokens, { rows }),
        await bare.logits(tokens, { rows }),
      );
      const a = await engine.logits(tokens, { rows, adapter: "a" });
      assert.notDeepEqual(a, await bare.logits(tokens, { rows }));
      const scaled = { adapters: [{ name: "a", scale: 0 }] };
      assert.deepEqual(
        await engine.logits(tokens, { rows, ...scaled }),
        await bare.logits(tokens, { rows }),
      );
      let shown = 0;
      await engine.eachLogits(tokens, (position, row) => {
        const at = position * VOCAB;
        assert.deepEqual(row.slice(), a.slice(at, at + VOCAB));
        shown++;
      }, { adapter: "a" });
      assert.equal(shown, 30);
    }
  });
});

Deno.test("the prefix cache finds what the same adapters computed, and nothing else", async () => {
  await withLora(async (open) => {
    await using engine = await open();
    const tokens = ids(33);
    const ask = async (use: AdapterOptions, tenant?: string) => {
      const options = { ...use, tokens, maxTokens: 1, tenant };
      const { usage } = await make(engine, options);
      return [usage.cachedTokens, usage.miss?.reason];
    };
    assert.deepEqual(await ask({}), [0, "unseen"]);
    assert.deepEqual(await ask({ adapter: "a" }), [0, "adapters"]);
    assert.deepEqual(await ask({ adapters: ["a", "b"] }), [0, "adapters"]);
    const same: AdapterOptions[] = [
      {},
      { adapters: [] },
      { adapters: [{ name: "b", scale: 0 }] },
      { adapter: "a" },
      { adapters: [{ name: "a", scale: 1 }, { name: "b", scale: 0 }] },
      { adapters: ["b", "a"] },
    ];
    for (const use of same) {
      assert.deepEqual((await ask(use))[0], 32, JSON.stringify(use));
    }
    const other: AdapterOptions[] = [
      { adapter: "b" },
      { adapters: [{ name: "a", scale: 0.5 }] },
      { adapters: ["a", { name: "b", scale: -1 }] },
    ];
    for (const use of other) {
      assert.deepEqual(await ask(use), [0, "adapters"], JSON.stringify(use));
    }
    assert.deepEqual(await ask({ adapter: "a" }, "t"), [0, "salted"]);
    assert.equal((await ask({ adapter: "a" }, "t"))[0], 32);
    assert.equal(engine.cache.stat().misses.adapters, 5);
  });
});

Deno.test("load() counts adapters among the weights, and refuses what has no room", async () => {
  await withLora(async (open, { adapters }) => {
    for (const options of [{}, { backend: "reference" }] as LoadOptions[]) {
      await using engine = await open({ ...options, budget: "16MiB" });
      const lines = engine.memory().lines;
      const bytes = (name: string): number => {
        const component = `adapter "${name}"`;
        const line = lines.find((l) => l.component === component);
        assert.equal(line?.owner, "weights", component);
        return line!.bytes;
      };
      assert.ok(bytes("a") > bytes("b") && bytes("b") > 1000);
      assert.deepEqual(
        engine.adapters.map(({ name, matrices, rank }) => [
          name,
          matrices,
          rank,
        ]),
        [["a", 15, 11], ["b", 10, 11]],
      );
    }
    // What streams takes the room that is left, so the plan has to know of them.
    const plugins = () => [paged(), weightOffload()];
    let least = 0;
    {
      await using engine = await open({ plugins: plugins(), adapters: {} });
      least = engine.memory().tiers.device!.used;
    }
    const options = { chunk: 8, context: 32 };
    for (let budget = least; budget > 20_000; budget -= 4096) {
      try {
        await using engine = await open({
          ...options,
          budget,
          adapters,
          plugins: plugins(),
        });
        engine.check();
      } catch (error) {
        assert.match(String(error), /budget|PlanError/, `${budget}`);
      }
    }
  });
});

Deno.test("Engine.generate() refuses adapters that are not there, with those that are", async () => {
  await withLora(async (open) => {
    await using engine = await open();
    const request = { tokens: ids(4), maxTokens: 1 };
    const refuses = async (use: AdapterOptions, why: RegExp) => {
      await assert.rejects(make(engine, { ...request, ...use }), why);
      await assert.rejects(engine.logits(ids(4), use), why);
      assert.throws(() => engine.conversation("", use), why);
    };
    await refuses(
      { adapter: "c" },
      /^RangeError: Cannot compute with adapter "c": loaded are "a", "b"; /,
    );
    await refuses({ adapters: ["a", "a"] }, /TypeError.*"a" twice/);
    await refuses({ adapter: "a", adapters: [] }, /leave one of them out/);
    for (const scale of [NaN, Infinity, 1e39]) {
      await refuses({ adapters: [{ name: "b", scale }] }, /finite number/);
    }
    await assert.rejects(open({ use: ["c"] }), /loaded are "a", "b"/);
    await using bare = await open({ adapters: {} });
    await assert.rejects(
      make(bare, { ...request, adapter: "a" }),
      /"a": none is loaded/,
    );
  });
});

Deno.test("load() with `use` computes with it where a request names nothing", async () => {
  await withLora(async (open) => {
    await using engine = await open({ use: [{ name: "b", scale: 2 }] });
    const tokens = ids(12),
      logits = (use: AdapterOptions) => engine.logits(tokens, use);
    const used = await logits({ adapters: [{ name: "b", scale: 2 }] });
    assert.deepEqual(await logits({}), used);
    assert.notDeepEqual(await logits({ adapters: [] }), used);
    assert.notDeepEqual(await logits({ adapter: "b" }), used);
  });
});
