import assert from "node:assert/strict";
import { Sight } from "../core/sight.ts";
import type { Retention } from "../core/slots.ts";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { windowRetention } from "../core/testing/fake_plan.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyLlama } from "../models/testing/tiny_llama.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import { checkContext, contextOf } from "./context.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { collect, tinyEngine } from "./testing/tiny_engine.ts";

const spec = (context: number, ...windows: (number | undefined)[]) => ({
  context,
  layers: windows.map((window) => ({ window })),
});

Deno.test("contextOf() gives what was trained up to 8,192, or what is wanted up to that", () => {
  const plain = [undefined, undefined];
  assert.equal(contextOf(spec(100, ...plain), {}), 100);
  assert.equal(contextOf(spec(40_000, ...plain), {}), 8192);
  assert.equal(contextOf(spec(40_000, ...plain), { context: 40_000 }), 40_000);
});

Deno.test("contextOf() goes beyond only where a window may be on every layer", () => {
  const plugins = [slidingWindow({ window: 4 })];
  assert.equal(contextOf(spec(100, undefined), { context: 101, plugins }), 101);
  assert.equal(contextOf(spec(100, 9, 9), { context: 101 }), 101);
  for (const plugins of [undefined, []]) {
    assert.throws(
      () => contextOf(spec(100, 9, undefined), { context: 101, plugins }),
      /"context" 101: .* 1 to 100 tokens; go beyond with slidingWindow/,
    );
  }
  for (const context of [0, -1, 1.5, NaN]) {
    assert.throws(
      () => contextOf(spec(100, 9), { context, plugins }),
      RangeError,
    );
  }
});

function group(layers: number[], ...retention: Retention[]) {
  return { layers, retention, sight: new Sight(retention) };
}

Deno.test("checkContext() takes windows of what was trained, and sinks from within it", () => {
  const groups = [
    group([0], windowRetention(100)),
    group([1, 2], windowRetention(60, 4, 100)),
    // Another window hides the sinks.
    group([3], windowRetention(60, 4), windowRetention(20)),
  ];
  checkContext(groups, 100, 10_000);
  checkContext([group([0])], 100, 100);
});

Deno.test("checkContext() names the layers that would see too far", () => {
  const refused: [ReturnType<typeof group>, RegExp][] = [
    [group([1, 2]), /layers 1, 2 would see everything before; give every/],
    [group([0], windowRetention(101)), /layer 0 would see 101 positions/],
    [group([0], windowRetention(9, 2)), /see sinks from any distance/],
    [group([0], windowRetention(9, 2, 101)), /see sinks from 101 positions/],
    // Too large for a while only.
    [
      group([0], {
        id: "steps",
        visible: (q) => [{ start: q - q % 150, end: q + 1 }],
      }),
      /layer 0 would see \d+ positions at once/,
    ],
  ];
  const good = group([7], windowRetention(9));
  for (const [bad, message] of refused) {
    assert.throws(() => checkContext([good, bad], 100, 1000), (e: Error) => {
      assert.match(e.message, /"context" 1000: the model was trained for 100/);
      assert.match(e.message, message);
      assert.doesNotMatch(e.message, /7/);
      return e instanceof RangeError;
    });
  }
});

Deno.test("load() refuses a context beyond what was trained before it makes an engine", async () => {
  const context = 65;
  await assert.rejects(
    () => tinyEngine({ context }),
    /"context" 65: .* go beyond with slidingWindow/,
  );
  for (
    const [plugin, message] of [
      [slidingWindow({ window: 65 }), /layer 0 would see 65 positions/],
      [slidingWindow({ window: 8, sinks: 2, reach: 65 }), /sinks from 65/],
      [{ name: "idle", setup: () => {} }, /layer 0 would see everything/],
    ] as const
  ) {
    await assert.rejects(
      () => tinyEngine({ context, plugins: [plugin] }),
      (e: Error) => e instanceof RangeError && message.test(e.message),
    );
  }
});

Deno.test("load() with sinks goes on far beyond what was trained, in bounded memory and alike on both backends", async () => {
  const ids = Array.from({ length: 700 }, (_, i) => 2 + (i * i + i) % 6);
  const load700 = (path: string, options: LoadOptions): Promise<Engine> =>
    load(path, {
      context: 701,
      chunk: 32,
      check: true,
      threads: 2,
      ...options,
    });
  await withFile(tinyLlama(), async (path) => {
    const run = async (options: LoadOptions): Promise<Float32Array> => {
      const plugins = [slidingWindow({ window: 16, sinks: 3 })];
      await using engine = await load700(path, { ...options, plugins });
      const out = new Float32Array(700 * engine.spec.vocab);
      await engine.eachLogits(ids, (position, logits) => {
        out.set(logits, position * engine.spec.vocab);
        const { open, sealed } = engine.cache.stat().blocks;
        // Sinks, window and chunk, the last two across borders of blocks.
        assert.ok(open + sealed <= 1 + 2 + 2, `${open} + ${sealed} blocks`);
      });
      const prompt = { tokens: ids, maxTokens: 10, ignoreEos: true };
      const { tokens } = await collect(engine.generate(prompt));
      assert.equal(tokens.length, 1, "as many as the context leaves");
      return out;
    };
    const want = await run({ backend: "reference" });
    for (const build of ["simd", "relaxed"] as const) {
      const most = maxAbsDiff(await run({ precision: "exact", build }), want);
      assert.ok(most < 1e-4, `${build}: ${most}`);
    }
  });
});
