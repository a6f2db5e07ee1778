import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { restorerPlugin, toyRestorer } from "../core/testing/toys.ts";
import { deeper } from "../models/testing/tiny_llama.ts";
import { checkpointing } from "../plugins/checkpointing.ts";
import { kvFp4 } from "../plugins/kv_fp4.ts";
import { kvInt4 } from "../plugins/kv_int4.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import { weightOffload } from "../plugins/weight_offload.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { ignore, names, prompts, why } from "./testing/laws.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

const CODECS: Readonly<Record<string, () => readonly Plugin[]>> = {
  "f16": () => [],
  "int8": () => [kvInt8()],
  "int4": () => [kvInt4({ keepFirst: 1 })],
  "nvfp4, windows": () => [
    kvFp4(),
    slidingWindow({ window: 9, sinks: 3, layers: (l) => l.layer % 2 === 0 }),
  ],
};

/** Answers to all prompts at once, requests being dropped all the time. */
async function answers(engine: Engine, seed: number): Promise<unknown[]> {
  const roll = dice(seed);
  const run = Promise.all(
    prompts(engine.spec.vocab).map((tokens) =>
      collect(engine.generate({ tokens, maxTokens: 16, ignoreEos: true }))
    ),
  );
  let over = false;
  run.finally(() => over = true).catch(() => {});
  while (!over && seed > 0) {
    engine.scheduler.preempt(`request-${roll(4)}`, "drop");
    await new Promise((r) => setTimeout(r, roll(3)));
  }
  return await run;
}

function engineOf(
  path: string,
  plugins: readonly Plugin[],
  options: LoadOptions = {},
): Promise<Engine> {
  const layout = pagedAttention({ blockTokens: 8 });
  return load(path, {
    threads: 2,
    check: true,
    context: 128,
    chunk: 24,
    ...options,
    plugins: [layout, ...plugins],
  });
}

Deno.test({
  name: `checkpointing() changes no token, whenever requests give way${why}`,
  ignore,
  fn: async (t) => {
    for (const name of names) {
      const { path } = (await openTinyModel(name)).fixture;
      for (const [codec, made] of Object.entries(CODECS)) {
        if (name === "head-80" && codec.includes("fp4")) continue;
        await t.step(`${name}, ${codec}`, async () => {
          let wanted: unknown[];
          {
            await using engine = await engineOf(path, made());
            wanted = await answers(engine, 0);
          }
          let i = 0;
          for (const every of [1, 2, 3, "tokens"] as const) {
            const chunk = [24, 5, 9][i++ % 3]!;
            const kept = checkpointing({ every, bytes: 1 << 20 });
            await using engine = await engineOf(path, [...made(), kept], {
              chunk,
            });
            assert.deepEqual(await answers(engine, i), wanted, `${every}`);
            const { restored } = engine.scheduler.stat();
            const { boundaries } = engine.plan.restore!;
            assert.equal(restored > 0, boundaries.length > 0, `${every}`);
          }
        });
      }
    }
  },
});

Deno.test({
  name:
    `The reference restores hidden states as it computed them, with coded K and V too${why}`,
  ignore,
  fn: async () => {
    const { path } = (await openTinyModel(names[0]!)).fixture;
    for (const codec of ["f16", "int8"]) {
      const made = CODECS[codec]!;
      const options = { backend: "reference" } as const;
      await using plain = await engineOf(path, made(), options);
      const kept = [prefixCache(), checkpointing({ every: 1, bytes: 1 << 20 })];
      await using engine = await engineOf(path, [...made(), ...kept], options);
      const wanted = await answers(plain, 0);
      for (let round = 0; round < 2; round++) {
        assert.deepEqual(await answers(engine, 0), wanted);
        engine.cache.evictIdle();
      }
      assert.ok(engine.scheduler.stat().restored > 0);
    }
  },
});

const { changes, shapes } = deeper(6, 512);
const tokens = Array.from({ length: 200 }, (_, k) => 2 + (k * k) % 6);
const REQUEST = { tokens, maxTokens: 8, ignoreEos: true };

Deno.test("checkpointing() restores a prompt whose blocks were evicted, as much as it has", async () => {
  const layout = pagedAttention({ blockTokens: 16 });
  // Rows of 32 values, a block of 16 at 5 boundaries: 10,240 bytes.
  // What has room for one has forgotten it by the time that it is wanted.
  for (const [blocks, restored] of [[100, 192], [1, 0]] as const) {
    const kept = checkpointing({ every: 1, bytes: blocks * 10_240 });
    await using engine = await tinyEngine(
      { plugins: [layout, prefixCache(), kept], chunk: 64 },
      changes,
      shapes,
    );
    const wanted = await collect(engine.generate(REQUEST));
    assert.equal(engine.scheduler.stat().restored, 0);
    const line = engine.memory().lines.find((l) =>
      l.component === "checkpoints"
    )!;
    assert.ok(line.bytes > 0 && line.bytes <= blocks * 10_240 + 10_240);
    engine.cache.evictIdle();
    assert.deepEqual(await collect(engine.generate(REQUEST)), wanted);
    assert.equal(engine.scheduler.stat().restored, restored);
    assert.equal(engine.cache.stat().restores, restored / 16);
    // Of other tenants nothing is found; of other texts, what they begin with.
    engine.cache.evictIdle();
    const other = { ...REQUEST, tenant: "other" };
    assert.deepEqual(await collect(engine.generate(other)), wanted);
    assert.equal(engine.scheduler.stat().restored, restored);
    engine.cache.evictIdle();
    const longer = [...tokens.slice(0, 100), 3, ...tokens];
    await collect(engine.generate({ ...REQUEST, tokens: longer }));
    const more = restored === 0 ? 0 : 96;
    assert.equal(engine.scheduler.stat().restored, restored + more);
  }
});

Deno.test("Engine computes what a restorer has lost, spoiled or lies about", async () => {
  const layout = pagedAttention({ blockTokens: 16 });
  const faults: Record<string, (roll: (n: number) => number) => Plugin> = {
    loses: (roll) => {
      const r = toyRestorer([2, 4]);
      return restorerPlugin({
        ...of(r),
        get: (key) => roll(4) === 0 ? undefined : r.get(key),
      });
    },
    spoils: (roll) => {
      const r = toyRestorer([1, 2, 3]);
      return restorerPlugin({
        ...of(r),
        keep: (key, rows) => {
          r.keep(key, rows);
          const words = new Uint32Array(rows.buffer);
          if (roll(3) === 0) words[roll(words.length)]! ^= 1 << roll(32);
        },
      });
    },
    throws: (roll) => {
      const r = toyRestorer([5]);
      const fail = (): void => {
        if (roll(4) === 0) throw new Error("no luck");
      };
      return restorerPlugin({
        ...of(r),
        keep: (key, rows) => (fail(), r.keep(key, rows)),
        has: (key) => (fail(), r.has(key)),
        get: (key) => (fail(), r.get(key)),
      });
    },
    shortens: () => {
      const r = toyRestorer([1]);
      return restorerPlugin({
        ...of(r),
        get: (key) => r.get(key)?.subarray(1),
      });
    },
  };
  let wanted: unknown;
  {
    await using engine = await tinyEngine({ chunk: 64 }, changes, shapes);
    wanted = await collect(engine.generate(REQUEST));
  }
  for (const [name, make] of Object.entries(faults)) {
    const roll = dice(name.length);
    await using engine = await tinyEngine(
      { plugins: [layout, prefixCache(), make(roll)], chunk: 64 },
      changes,
      shapes,
    );
    for (let i = 0; i < 30; i++) {
      engine.cache.evictIdle();
      assert.deepEqual(await collect(engine.generate(REQUEST)), wanted, name);
    }
    const { restored } = engine.scheduler.stat();
    assert.equal(restored > 0, name !== "shortens", name);
  }
});

/** A restorer's members, to be replaced. */
function of(r: ReturnType<typeof toyRestorer>) {
  const { id, boundaries, capacity } = r;
  return {
    id,
    boundaries,
    capacity,
    get used() {
      return r.used;
    },
    keep: r.keep,
    has: r.has,
    get: r.get,
  };
}

Deno.test({
  name: `checkpointing() restores over weights that stream${why}`,
  ignore,
  fn: async () => {
    for (const name of names) {
      const { path } = (await openTinyModel(name)).fixture;
      let wanted: unknown[];
      {
        await using engine = await engineOf(path, []);
        wanted = await answers(engine, 0);
      }
      for (const [every, resident] of [[1, 0], [2, 0], [1, 1]] as const) {
        await using engine = await engineOf(path, [
          prefixCache(),
          checkpointing({ every, bytes: 1 << 20 }),
          weightOffload({ resident, depth: 1 }),
        ]);
        assert.deepEqual(await answers(engine, 7), wanted, `${name} ${every}`);
        engine.cache.evictIdle();
        assert.deepEqual(await answers(engine, 0), wanted, `${name} ${every}`);
        const { restored } = engine.scheduler.stat();
        const { boundaries } = engine.plan.restore!;
        assert.equal(restored > 0, boundaries.length > 0, `${every}`);
      }
    }
  },
});

Deno.test("Engine.generate() may be aborted while it restores", async () => {
  const kept = checkpointing({ every: 2, bytes: 1 << 20 });
  const plugins = [pagedAttention({ blockTokens: 16 }), prefixCache(), kept];
  await using engine = await tinyEngine(
    { plugins, chunk: 16 },
    changes,
    shapes,
  );
  const wanted = await collect(engine.generate(REQUEST));
  for (let turn = 0; turn < 6; turn++) {
    engine.cache.evictIdle();
    const stop = new AbortController(), before = engine.scheduler.stat();
    const run = collect(engine.generate({ ...REQUEST, signal: stop.signal }));
    const gone = assert.rejects(run, { name: "AbortError" });
    while (engine.scheduler.stat().restored < before.restored + 16 * turn) {
      await new Promise((r) => setTimeout(r));
    }
    stop.abort();
    await gone;
    engine.check();
    assert.equal(engine.cache.stat().sequences, 0);
  }
  engine.cache.evictIdle();
  assert.deepEqual(await collect(engine.generate(REQUEST)), wanted);
});
