import assert from "node:assert/strict";
import { openGguf } from "../models/gguf.ts";
import { withFile } from "../models/testing/files.ts";
import { tinyChat } from "../models/testing/tiny_chat.ts";
import { readTensor } from "../models/weights.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
import type { Engine } from "./engine.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { tinyEngine } from "./testing/tiny_engine.ts";

const TEXT = [..."A text that is long enough for several steps of it."]
  .map((c) => c.charCodeAt(0));

async function withEngine(
  options: LoadOptions,
  check: (engine: Engine, output: Float32Array) => Promise<void>,
): Promise<void> {
  await withFile(tinyChat(), async (path) => {
    const file = await openGguf(path);
    await using engine = await load(path, { threads: 2, ...options });
    const { output, tensors } = engine.spec;
    await check(engine, await readTensor(file, output, tensors));
  });
}

function cosine(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let ab = 0, aa = 0, bb = 0;
  for (let i = 0; i < a.length; i++) {
    ab += a[i]! * b[i]!;
    aa += a[i]! ** 2;
    bb += b[i]! ** 2;
  }
  return ab / Math.sqrt(aa * bb);
}

/**
 * The output matrix of 258 rows makes logits of 32 values: the mean of logits is what
 * it makes of the mean.
 */
async function checkAgainstLogits(
  engine: Engine,
  output: Float32Array,
  near: number,
): Promise<void> {
  const { vocab, hidden } = engine.spec;
  const logits = await engine.logits(TEXT, { rows: "all" });
  for (const pool of ["mean", "last"] as const) {
    const point = await engine.embed(TEXT, { pool });
    assert.equal(point.length, hidden);
    assert.ok(Math.abs(Math.hypot(...point) - 1) < 1e-6);
    const wanted = new Float64Array(vocab);
    const first = pool === "mean" ? 0 : TEXT.length - 1;
    for (let r = first; r < TEXT.length; r++) {
      for (let v = 0; v < vocab; v++) wanted[v]! += logits[r * vocab + v]!;
    }
    const made = Float64Array.from(wanted, (_, v) => {
      let sum = 0;
      for (let i = 0; i < hidden; i++) {
        sum += output[v * hidden + i]! * point[i]!;
      }
      return sum;
    });
    const is = cosine(made, wanted);
    assert.ok(is > 1 - near, `"${pool}": cosine ${is}`);
  }
}

Deno.test("Engine.embed() is the mean, or the last, of what logits are made of", async () => {
  await withEngine(
    { backend: "reference" },
    (engine, output) => checkAgainstLogits(engine, output, 1e-9),
  );
  await withEngine(
    { precision: "exact" },
    (engine, output) => checkAgainstLogits(engine, output, 1e-9),
  );
  await withEngine(
    {},
    (engine, output) => checkAgainstLogits(engine, output, 1e-3),
  );
});

Deno.test("Engine.embed() of the WASM backend is the reference's", async () => {
  const points: Float32Array[] = [];
  for (const options of [{ backend: "reference" }, { precision: "exact" }]) {
    await withEngine(options as LoadOptions, async (engine) => {
      points.push(await engine.embed(TEXT));
    });
  }
  const [a, b] = points as [Float32Array, Float32Array];
  a.forEach((x, i) => assert.ok(Math.abs(x - b[i]!) < 1e-5));
});

Deno.test("Engine.embed() gives the same bits however steps are cut and whoever runs beside it", async () => {
  const plugins = () => [prefixCache(), slidingWindow({ window: 20 })];
  const points = new Set<string>();
  const cuts: LoadOptions[] = [
    ...[{ chunk: 1 }, { chunk: 5 }, {}, { threads: 1 }],
    { budget: "2MiB" },
  ];
  for (const options of cuts) {
    await withEngine({ plugins: plugins(), ...options }, async (engine) => {
      const cold = await engine.embed(TEXT);
      points.add(cold.join());
      // What is cached is no shortcut, and company changes nothing.
      const prompt = "Something else";
      const parts = Array.fromAsync(engine.generate({ prompt, maxTokens: 9 }));
      const beside = await Promise.all([
        ...[engine.embed(TEXT), engine.embed(TEXT.slice(0, 9))],
        engine.embed(TEXT),
      ]);
      await parts;
      points.add(beside[0]!.join());
      points.add(beside[2]!.join());
      assert.notEqual(beside[1]!.join(), cold.join());
      const last = await engine.embed(TEXT, { pool: "last" });
      assert.notEqual(last.join(), cold.join());
      engine.check();
    });
  }
  assert.equal(points.size, 1);
});

Deno.test("Engine.embed() refuses what is no text, other pools, and ends with its signal", async () => {
  await using engine = await tinyEngine();
  await assert.rejects(engine.embed([]), RangeError);
  await assert.rejects(engine.embed([99]), /ids go from 0 to 7/);
  await assert.rejects(engine.embed(Array(65).fill(2)), RangeError);
  await assert.rejects(
    engine.embed([2], { pool: "max" as "mean" }),
    /"mean", "last" are possible/,
  );
  const ending = new AbortController();
  const point = engine.embed([2, 3, 4], { signal: ending.signal });
  ending.abort(new Error("enough"));
  await assert.rejects(point, /enough/);
  await assert.rejects(engine.embed([2], { signal: ending.signal }), /enough/);
});
