import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { kvInt4 } from "../plugins/kv_int4.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import { weightOffload } from "../plugins/weight_offload.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import { ignore, names, why } from "./testing/laws.ts";
import { collect } from "./testing/tiny_engine.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

const KEPT: readonly (() => readonly Plugin[])[] = [
  () => [],
  () => [kvInt8(), slidingWindow({ window: 9, sinks: 3 })],
  () => [kvInt4({ keepFirst: 1 }), prefixCache()],
];

function text(length: number, seed: number): number[] {
  return Array.from({ length }, (_, i) => 3 + (i * i + seed * i) % 40);
}

/** Ends of prompts in the middle of a batch, at its end and behind it. */
const PROMPTS = [text(61, 1), text(11, 2), text(8, 3), text(30, 4)];

/** Tokens of all prompts at once, and the bits of one's logits. */
async function answers(engine: Engine): Promise<unknown> {
  const run = PROMPTS.map((tokens, i) =>
    collect(engine.generate({
      tokens: tokens.map((t) => t % engine.spec.vocab),
      maxTokens: 5 + i,
      ignoreEos: true,
    }))
  );
  const logits = engine.logits(text(77, 5).map((t) => t % engine.spec.vocab));
  return [await Promise.all(run), await logits];
}

function sweepsOf(engine: Engine): number {
  return engine.memory().lines
    .find((l) => l.component === "rows between layers")?.peak ?? 0;
}

Deno.test({
  name:
    `Streamed layers are gone through prompt by prompt, and every bit is the same${why}`,
  ignore,
  fn: async (t) => {
    for (const name of names) {
      const { path } = (await openTinyModel(name)).fixture;
      for (const [k, kept] of KEPT.entries()) {
        await t.step(`${name}, ${k}`, async () => {
          const engineOf = (...more: Plugin[]): Promise<Engine> => {
            const plugins = [
              pagedAttention({ blockTokens: 8 }),
              ...kept(),
              ...more,
            ];
            const sizes = { threads: 2, context: 128, chunk: 8 + 3 * k };
            return load(path, { ...sizes, check: true, plugins });
          };
          let wanted: unknown;
          {
            await using engine = await engineOf();
            wanted = await answers(engine);
            assert.equal(sweepsOf(engine), 0);
          }
          for (
            const options of [
              { resident: 0, depth: 1 },
              { from: "host", resident: 0 },
              { resident: 1, depth: 1 },
            ] as const
          ) {
            await using engine = await engineOf(weightOffload(options));
            assert.deepEqual(await answers(engine), wanted);
            const phases = engine.plan.weights!.streamed.length;
            assert.equal(sweepsOf(engine) > 0, phases > 1);
            assert.deepEqual(await answers(engine), wanted);
          }
        });
      }
    }
  },
});

Deno.test({
  name:
    `Requests are aborted while layers are gone through, and others are not harmed${why}`,
  ignore,
  fn: async () => {
    const { path } = (await openTinyModel(names[0]!)).fixture;
    const sizes = { threads: 2, context: 128, chunk: 8, check: true };
    await using engine = await load(path, {
      ...sizes,
      plugins: [
        pagedAttention({ blockTokens: 8 }),
        prefixCache(),
        kvInt8(),
        weightOffload({ resident: 0, depth: 1 }),
      ],
    });
    const prompts = PROMPTS.map((p) => p.map((t) => t % engine.spec.vocab));
    const wanted: unknown[] = [];
    for (const tokens of prompts) {
      wanted.push(await collect(engine.generate({ tokens, maxTokens: 4 })));
    }
    const roll = dice(3);
    let aborted = 0;
    for (let round = 0; round < 60; round++) {
      engine.cache.evictIdle();
      const run = prompts.map(async (tokens, i) => {
        const stop = new AbortController();
        // All of them, or some.
        if (round % 2 === 0 || roll(2) === 0) {
          setTimeout(() => stop.abort(), roll(12));
        }
        try {
          const options = { tokens, maxTokens: 4, signal: stop.signal };
          assert.deepEqual(await collect(engine.generate(options)), wanted[i]);
        } catch (error) {
          if (!stop.signal.aborted) throw error;
          aborted++;
        }
      });
      await Promise.all(run);
      engine.check();
      assert.equal(engine.cache.stat().sequences, 0);
    }
    assert.ok(aborted > 20, `${aborted} aborted`);
    for (const [i, tokens] of prompts.entries()) {
      const again = await collect(engine.generate({ tokens, maxTokens: 4 }));
      assert.deepEqual(again, wanted[i]);
    }
  },
});
