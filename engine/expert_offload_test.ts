import assert from "node:assert/strict";
import { PlanError } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { withFile } from "../models/testing/files.ts";
import { writeGguf } from "../models/testing/gguf_writer.ts";
import { tinyExperts } from "../models/testing/tiny_experts.ts";
import { cpuOffload } from "../plugins/cpu_offload.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { weightOffload } from "../plugins/weight_offload.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { run } from "./testing/laws.ts";
import { collect } from "./testing/tiny_engine.ts";
import { tinyModels } from "./testing/tiny_fixtures.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

const names = tinyModels().filter((name) => name.startsWith("mixtral"));
const ignore = names.length === 0;
const why = ignore ? " (ignored: no fixtures beside the repository)" : "";

const paged = () => pagedAttention({ blockTokens: 8 });

Deno.test({
  name:
    `weightOffload() changes no token, however many experts are there at once${why}`,
  ignore,
  fn: async (t) => {
    for (const name of names) {
      await t.step(name, async () => {
        const { path } = (await openTinyModel(name)).fixture;
        const roll = dice(name.length);
        for (const build of ["simd", "relaxed"] as const) {
          const precision = build === "simd" ? "fast" : "exact";
          const bare = await run(path, { build, precision }, [paged()]);
          for (const experts of [8, 9, 12, 15, 16]) {
            const from = roll(2) === 0 ? "disk" : "host";
            const options = { build, precision, threads: 1 + roll(3) } as const;
            const got = await run(path, options, [
              weightOffload({ from, experts }),
              paged(),
              ...roll(2) === 0 ? [prefixCache()] : [],
              ...roll(2) === 0 ? [cpuOffload({ bytes: 1 << 18 })] : [],
            ]);
            assert.deepEqual(got.tokens, bare.tokens, `${from}, ${experts}`);
            assert.equal(got.fingerprint, bare.fingerprint);
          }
        }
      });
    }
  },
});

Deno.test({
  name:
    `load() keeps as many experts as the budget has room for, and says with numbers what is too little${why}`,
  ignore,
  fn: async () => {
    const { path } = (await openTinyModel(names[0]!)).fixture;
    const request = { tokens: [2, 3, 4, 5], maxTokens: 20, ignoreEos: true };
    const options: LoadOptions = {
      ...{ threads: 2, context: 64, chunk: 16, check: true },
      plugins: [paged(), weightOffload()],
    };
    let want: unknown, whole: number;
    {
      await using engine = await load(path, options);
      want = await collect(engine.generate(request));
      assert.match(engine.plan.explain(), /all 2 layers stay/);
      assert.equal(engine.memory().experts, undefined);
      whole = engine.memory().tiers.device!.used;
    }
    const seen = new Set<number>();
    let refused = 0;
    for (let budget = whole + (1 << 17); refused < 2; budget -= 6000) {
      try {
        await using engine = await load(path, { ...options, budget });
        assert.equal(refused, 0, "less would do");
        const slots = engine.plan.weights!.experts?.slots;
        seen.add(slots ?? 0);
        const answer = collect(engine.generate(request));
        const tight = /K and V get the rest/.test(engine.plan.explain());
        if (tight) {
          assert.equal(slots, 8);
          await answer.catch((e) => assert.match(e.message, /its K\/V lack/));
        } else assert.deepEqual(await answer, want);
        const { used, capacity } = engine.memory().tiers.device!;
        assert.ok(used <= capacity && capacity <= budget);
        if (slots === undefined || tight) continue;
        assert.match(
          engine.plan.explain(),
          new RegExp(`through ${slots} slots of \\d+ bytes`),
        );
        const { hits, misses, bytes } = engine.memory().experts!;
        assert.ok(hits + misses > 0 && bytes > 0);
      } catch (error) {
        assert.ok(error instanceof PlanError, `${budget}: ${error}`);
        assert.equal(error.conflicts[0]!.code, "budget");
        assert.match(
          error.message,
          /in a "budget" of \d+ bytes: \d+ are taken.*8 slots of \d+, as many as a step may need/,
        );
        refused++;
      }
    }
    // All, nearly all, and no more than has to be.
    assert.ok(seen.has(0) && seen.has(8) && seen.size > 3, `${[...seen]}`);
  },
});

Deno.test("what plans say of memory with experts is what engines take", async () => {
  await withFile(writeGguf(tinyExperts("qwen2moe")), async (path) => {
    for (const from of ["disk", "host"] as const) {
      const coded = from === "disk";
      await using engine = await load(path, {
        threads: 3,
        context: 120,
        plugins: [
          ...coded ? [kvInt8()] : [pagedAttention()],
          weightOffload({ from, experts: 7 }),
        ],
      });
      const [, weights, work, bring] = engine.plan.explain().match(
        /(\d+) are weights, (\d+) working memory, (\d+) to bring/,
      )!.map(Number) as [number, number, number, number];
      let held = 0, rest = 0;
      for (const line of engine.memory().lines) {
        if (line.tier !== "device" || line.owner === "kv") continue;
        if (line.component === "constants") continue;
        if (line.owner === "weights") held += line.bytes;
        else rest += line.bytes;
      }
      assert.equal(held, weights);
      // Words of as many slots as there are experts are counted.
      const over = work + bring - rest;
      assert.ok(over >= 0 && over <= 12 * 12 + 64, `${over} bytes`);
    }
  });
});

Deno.test("a request hears of a model's file that is cut, with the expert's name", async () => {
  await withFile(writeGguf(tinyExperts("qwen3moe")), async (path) => {
    const plugins = [paged(), weightOffload({ experts: 6 })];
    await using engine = await load(path, { threads: 2, plugins });
    const request = { tokens: [2, 3], maxTokens: 100, ignoreEos: true };
    await assert.rejects(async () => {
      for await (const _ of engine.generate(request)) {
        await Deno.truncate(path, 5000);
      }
    }, /Cannot stream expert \d of layer \d: ".*model.gguf"/);
    await assert.rejects(
      () => collect(engine.generate(request)),
      /Cannot stream expert/,
    );
  });
});
