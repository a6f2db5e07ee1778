import assert from "node:assert/strict";
import { PlanError, type Plugin } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { cachedModel } from "../models/pull.ts";
import { withFile } from "../models/testing/files.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { weightOffload } from "../plugins/weight_offload.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { deeper } from "../models/testing/tiny_llama.ts";
import { cpuOffload } from "../plugins/cpu_offload.ts";
import { CONSTANT_BYTES } from "../wasm/constants.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { run } from "./testing/laws.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";
import { openTinyModel } from "./testing/tiny_models.ts";
import { tinyModels } from "./testing/tiny_fixtures.ts";

/** Formats of all kinds, and the deepest. */
const names = [
  "gemma3",
  "gemma2",
  "qwen2",
  "phi3",
  "mistral-swa",
  "head-80",
  "llama-gqa-f16",
  "llama-gqa-q4_0",
  "llama-gqa-q4_1",
  "llama-gqa-q4_k_m",
  "llama-gqa-q8_0",
  "llama3-rope",
  "mixtral-moe",
  "mixtral-moe-q4_0",
].filter((name) => tinyModels().includes(name));
const ignore = names.length === 0;
const why = ignore ? " (ignored: no fixtures beside the repository)" : "";

const paged = () => pagedAttention({ blockTokens: 8 });

Deno.test({
  name: `weightOffload() changes no token, whatever stays${why}`,
  ignore,
  fn: async (t) => {
    for (const name of names) {
      await t.step(name, async () => {
        const { fixture: { path }, spec } = await openTinyModel(name);
        const roll = dice(name.length);
        for (const precision of ["fast", "exact"] as const) {
          const bare = await run(path, { precision }, [paged()]);
          for (let resident = 0; resident <= spec.layers.length; resident++) {
            const from = roll(2) === 0 ? "disk" : "host";
            const depth = 1 + roll(3);
            const options = { precision, threads: 1 + roll(3) };
            const got = await run(path, options, [
              weightOffload({ from, resident, depth }),
              paged(),
              ...roll(2) === 0 ? [prefixCache()] : [],
            ]);
            const label = `${precision}, ${resident} from ${from}, ${depth}`;
            assert.deepEqual(got.tokens, bare.tokens, label);
            assert.equal(got.fingerprint, bare.fingerprint);
          }
        }
      });
    }
  },
});

/** Device bytes that an engine has taken, and may take. */
function device(engine: Engine): { used: number; capacity: number } {
  return engine.memory().tiers.device!;
}

Deno.test({
  name:
    `load() streams what the budget has no room for, and says so before it reads anything where even that is too much${why}`,
  ignore,
  fn: async () => {
    const { fixture: { path }, spec } = await openTinyModel("gemma3");
    const options: LoadOptions = {
      threads: 2,
      context: 64,
      chunk: 16,
      check: true,
    };
    const request = { tokens: [2, 3, 4, 5], maxTokens: 40, ignoreEos: true };
    const at = (
      budget: number | undefined,
      more: Parameters<typeof weightOffload>[0] = {},
    ) =>
      load(path, {
        ...options,
        budget,
        plugins: [paged(), weightOffload(more)],
      });
    let want: unknown, whole: number;
    {
      await using engine = await at(undefined);
      want = await collect(engine.generate(request));
      assert.deepEqual(engine.plan.weights?.streamed, []);
      assert.match(engine.plan.explain(), /all 6 layers stay/);
      whole = device(engine).used;
    }
    const seen = new Set<number>();
    let refused = 0;
    for (let budget = whole + (1 << 18); budget > 0; budget -= 12_288) {
      let told = 0;
      const plugins = [paged(), weightOffload()];
      const loading = load(path, {
        ...options,
        budget,
        plugins,
        onProgress: () => told++,
      });
      let engine: Engine;
      try {
        engine = await loading;
      } catch (error) {
        assert.ok(error instanceof PlanError, `${budget}: ${error}`);
        assert.equal(error.conflicts[0]!.code, "budget");
        assert.match(
          error.message,
          new RegExp(
            `in a "budget" of ${
              budget - CONSTANT_BYTES
            } bytes: \\d+ are taken.*` +
              "0 of 6 layers that stay and 1 slot of \\d+ take \\d+: raise it",
          ),
        );
        assert.equal(told, 0);
        if (++refused > 3) break;
        continue;
      }
      assert.equal(refused, 0, "less would do");
      await using _ = engine;
      const answer = collect(engine.generate(request));
      // Weights leave less than a whole context's K and V only where they have to.
      if (/K and V get the rest/.test(engine.plan.explain())) {
        assert.equal(engine.plan.weights!.streamed.length, 6);
        await answer.catch((e) => assert.match(e.message, /its K\/V lack/));
      } else assert.deepEqual(await answer, want);
      const { used, capacity } = device(engine);
      assert.ok(used <= capacity && capacity <= budget, `${used}`);
      seen.add(engine.plan.weights!.streamed.length);
    }
    assert.ok(refused > 3);
    // All stay, some, none.
    assert.ok(seen.has(0) && seen.has(6) && seen.size > 2, `${[...seen]}`);
    await assert.rejects(() => at(undefined, { resident: 7 }), /has 6/);
    await assert.rejects(
      () => at(whole / 2, { resident: spec.layers.length }),
      /6 of 6 layers that stay.*lower "chunk" or "resident"/,
    );
  },
});

Deno.test({
  name: `what plans say of memory is what engines take${why}`,
  ignore,
  fn: async () => {
    for (const name of names) {
      const { fixture: { path } } = await openTinyModel(name);
      for (const from of ["disk", "host"] as const) {
        for (const coded of [false, true]) {
          const plugins = [
            ...coded ? [kvInt8()] : [pagedAttention()],
            weightOffload({ from, resident: 0, depth: 1 }),
          ];
          await using engine = await load(path, {
            threads: 3,
            context: 200,
            plugins,
          });
          const said = engine.plan.explain();
          const [, weights, work, stream] = said.match(
            /(\d+) are weights, (\d+) working memory, (\d+) to stream/,
          )!.map(Number) as [number, number, number, number];
          let held = 0, rest = 0;
          for (const line of engine.memory().lines) {
            if (line.tier !== "device" || line.owner === "kv") continue;
            if (line.component === "constants") continue;
            if (line.owner === "weights") held += line.bytes;
            else rest += line.bytes;
          }
          assert.equal(held, weights);
          // Words of more slots than there are may be counted.
          const over = work + stream - rest;
          assert.ok(over >= 0 && over <= 64, `${name}: ${over} bytes`);
        }
      }
    }
  },
});

Deno.test({
  name:
    `load() takes larger steps where layers are streamed and the budget allows${why}`,
  ignore,
  fn: async () => {
    const { fixture: { path } } = await openTinyModel("gemma3");
    const rows = async (options: LoadOptions, resident: number | undefined) => {
      const offload = resident === undefined ? {} : { resident };
      await using engine = await load(path, {
        ...options,
        context: 512,
        plugins: [paged(), weightOffload(offload)],
      });
      assert.match(
        engine.plan.explain(),
        resident === 6 ? /all 6/ : /steps of up to/,
      );
      await engine.logits(Array(512).fill(5));
      // Where layers stream, all of a prompt's chunks pass each of them in one step.
      const { steps } = engine.scheduler.stat();
      assert.equal(steps, resident === 6 ? 2 : 1);
      return engine.plan.weights!.rows;
    };
    assert.equal(await rows({}, 0), 1024);
    assert.equal(await rows({}, 6), 256);
    assert.equal(await rows({ chunk: 128 }, 0), 128);
  },
});

Deno.test({
  name: `a request hears of a model's file that is cut, closing is quiet${why}`,
  ignore,
  fn: async () => {
    const { fixture: { path } } = await openTinyModel("gemma3");
    const bytes = await Deno.readFile(path);
    await withFile(bytes, async (copy) => {
      const plugins = [paged(), weightOffload({ resident: 2, depth: 2 })];
      await using engine = await load(copy, { threads: 2, plugins });
      const request = { tokens: [2, 3], maxTokens: 400, ignoreEos: true };
      await assert.rejects(async () => {
        for await (const _ of engine.generate(request)) {
          await Deno.truncate(copy, 5000);
        }
      }, /Cannot stream the weights of layer \d: ".*model.gguf"/);
      await assert.rejects(
        () => collect(engine.generate(request)),
        /Cannot stream the weights/,
      );
    });
  },
});

Deno.test({
  name: `the reference backend keeps all weights, and the plan says so${why}`,
  ignore,
  fn: async () => {
    const { fixture: { path } } = await openTinyModel("gemma3");
    await using engine = await load(path, {
      backend: "reference",
      plugins: [paged(), weightOffload({ resident: 0 })],
    });
    assert.equal(engine.plan.weights, undefined);
    assert.match(
      engine.plan.explain(),
      /"weight-offload" is not asked, backend "reference" keeps all/,
    );
  },
});

Deno.test("layers stream while contexts are read from host memory, and change no token", async () => {
  const { changes, shapes } = deeper(6, 1024);
  const request = {
    tokens: Array.from({ length: 500 }, (_, k) => 2 + (k * k + (k >> 3)) % 6),
    maxTokens: 40,
    ignoreEos: true,
  };
  const engineOf = (budget: number, more: readonly Plugin[]) =>
    tinyEngine(
      {
        context: 1024,
        chunk: 16,
        budget,
        plugins: [
          pagedAttention({ blockTokens: 64 }),
          cpuOffload({ bytes: 1 << 24 }),
          ...more,
        ],
      },
      changes,
      shapes,
    );
  let want: unknown, bytes = 0;
  {
    await using engine = await engineOf(1 << 24, []);
    want = await collect(engine.generate(request));
    bytes = engine.cache.peakBytes(540, 1);
  }
  const streams = [weightOffload({ resident: 2, depth: 2 })];
  // What is left for K and V, then as much less as makes it a third of them.
  let budget = 1 << 24;
  for (let i = 0; i < 12; i++) {
    await using engine = await engineOf(budget, streams);
    const more = engine.cache.budgetBytes - bytes / 3;
    if (Math.abs(more) < 512) break;
    budget -= Math.floor(more);
  }
  await using engine = await engineOf(budget, streams);
  assert.deepEqual(await collect(engine.generate(request)), want);
  assert.ok(engine.memory().tiers.cpu!.peak > 0);
  assert.equal(engine.plan.weights!.streamed.length, 4);
});

const real = await cachedModel("smollm2");

Deno.test({
  name: `weightOffload() changes no token of a real model${
    real === undefined ? " (ignored: smollm2 is not there)" : ""
  }`,
  ignore: real === undefined,
  fn: async () => {
    const answers = async (plugins: Parameters<typeof run>[2]) =>
      (await run(real!, { chunk: 64 }, [pagedAttention(), ...plugins])).tokens;
    const want = await answers([]);
    for (
      const options of [
        { from: "disk", resident: 7 },
        { from: "host", resident: 12 },
      ] as const
    ) assert.deepEqual(await answers([weightOffload(options)]), want);
  },
});
