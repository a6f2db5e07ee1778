import assert from "node:assert/strict";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { contiguous } from "../plugins/contiguous.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import { cachedModel } from "../models/pull.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import {
  BACKENDS,
  CLEAR,
  ignore,
  names,
  prompts,
  run,
  SEEN,
  why,
} from "./testing/laws.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

// The laws of plugins through the whole engine: what a request is answered depends
// on layout, window and sinks only, never on what else is plugged in, in which
// order, or on what runs beside it.

for (const backend of BACKENDS) {
  const label = `${backend.backend}${
    backend.build ? `, ${backend.build}` : ""
  }`;
  Deno.test({
    name: `plugins keep the laws of order and transparency: ${label}${why}`,
    ignore,
    fn: async (t) => {
      for (const name of names) {
        await t.step(name, async () => {
          const { path } = (await openTinyModel(name)).fixture;
          for (const seen of SEEN) {
            const bare = await run(path, backend, [
              pagedAttention({ blockTokens: 8 }),
              ...seen(),
            ]);
            for (let i = 0; i < 4; i++) {
              const roll = dice(i + 11);
              const plugins = [
                pagedAttention({ blockTokens: 8 }),
                ...seen(),
                ...CLEAR.filter(() => i === 0 || roll(2) === 0).map((p) => p()),
              ];
              const shuffled = plugins.toSorted(() => roll(3) - 1);
              const { tokens, fingerprint } = await run(
                path,
                backend,
                shuffled,
              );
              const list = shuffled.map((p) => p.name).join();
              assert.deepEqual(tokens, bare.tokens, list);
              assert.equal(fingerprint, bare.fingerprint, list);
            }
          }
        });
      }
    },
  });

  Deno.test({
    name: `blocks of any size give the same bits: ${label}${why}`,
    ignore,
    fn: async (t) => {
      for (const name of names) {
        await t.step(name, async () => {
          const { path } = (await openTinyModel(name)).fixture;
          let want: Float32Array | undefined;
          for (
            const layout of [
              pagedAttention({ blockTokens: 8 }),
              pagedAttention(),
              pagedAttention({ blockTokens: 64 }),
              contiguous({ tokens: 128 }),
            ]
          ) {
            await using engine = await load(path, {
              ...backend,
              threads: 2,
              plugins: [layout, slidingWindow({ window: 20, sinks: 4 })],
              context: 128,
            });
            const ids = prompts(engine.spec.vocab).flat();
            const got = await engine.logits(ids, { rows: "all" });
            assert.deepEqual(got, want ??= got, layout.name);
          }
        });
      }
    },
  });
}

Deno.test({
  name: `windows and sinks are what the reference says, on both builds${why}`,
  ignore,
  fn: async (t) => {
    for (const name of names) {
      await t.step(name, async () => {
        const { path } = (await openTinyModel(name)).fixture;
        for (
          const [window, sinks] of [[1, 0], [5, 0], [7, 3], [12, 12], [16, 16]]
        ) {
          const logits = async (backend: LoadOptions) => {
            await using engine = await load(path, {
              ...backend,
              precision: "exact",
              threads: 2,
              chunk: 13,
              context: 128,
              plugins: [
                pagedAttention({ blockTokens: 8 }),
                slidingWindow({ window: window!, sinks: sinks! }),
              ],
            });
            const ids = prompts(engine.spec.vocab).flat();
            return await engine.logits(ids, { rows: "all" });
          };
          const want = await logits(BACKENDS[0]!);
          for (const backend of BACKENDS.slice(1)) {
            const off = maxAbsDiff(await logits(backend), want);
            assert.ok(off < 2e-3, `${window} + ${sinks}: ${off}`);
          }
        }
      });
    }
  },
});

const real = await cachedModel("smollm2");

Deno.test({
  name: `plugins keep the laws on a real model${
    real === undefined ? " (ignored: smollm2 is not there)" : ""
  }`,
  ignore: real === undefined,
  fn: async () => {
    const roll = dice(9);
    const wasm: LoadOptions = { backend: "wasm", chunk: 64 };
    for (const seen of [SEEN[0]!, SEEN[1]!]) {
      const bare = await run(real!, wasm, [pagedAttention(), ...seen()]);
      const all = await run(
        real!,
        wasm,
        [
          pagedAttention(),
          ...seen(),
          ...CLEAR.map((p) => p()),
        ].toSorted(() => roll(3) - 1),
      );
      assert.deepEqual(all, bare);
    }
  },
});
