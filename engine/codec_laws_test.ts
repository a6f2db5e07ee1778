import assert from "node:assert/strict";
import type { Plugin } from "../core/plugin.ts";
import { dice } from "../core/testing/cache_driver.ts";
import { cachedModel } from "../models/pull.ts";
import { kvCache } from "../plugins/kv_cache.ts";
import { kvF16 } from "../plugins/kv_f16.ts";
import { kvFp4 } from "../plugins/kv_fp4.ts";
import { kvInt4 } from "../plugins/kv_int4.ts";
import { kvInt8 } from "../plugins/kv_int8.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { slidingWindow } from "../plugins/sliding_window.ts";
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

// The laws of plugins with coded K and V: what a request is answered depends on the
// codec, the layout and what queries see, and on nothing else.

/** Head sizes that FP4 cannot take are left to the others. */
const CODECS: Readonly<Record<string, () => readonly Plugin[]>> = {
  "int8": () => [kvInt8()],
  "int4": () => [kvInt4({ keepFirst: 1 })],
  "int8/int4": () => [kvCache({ k: "int8", v: "int4" })],
  "by layer": () => [
    kvInt8({ layers: (l) => l.layer % 2 === 1 }),
    kvCache({ k: "int4", v: "int8", layers: [0] }),
  ],
  "f16": () => [kvF16()],
  "nvfp4": () => [kvFp4()],
  "mxfp4": () => [kvFp4({ format: "mxfp4" })],
};

function codecsFor(name: string): string[] {
  return Object.keys(CODECS).filter((c) =>
    name !== "head-80" || !c.endsWith("fp4")
  );
}

for (const backend of BACKENDS) {
  const label = `${backend.backend}${
    backend.build ? `, ${backend.build}` : ""
  }`;
  // The reference is slow, and is proved with every codec in the matrix.
  const some = backend.backend === "reference" ? names.slice(0, 1) : names;
  Deno.test({
    name:
      `coded K and V keep the laws of order and transparency: ${label}${why}`,
    ignore,
    fn: async (t) => {
      for (const name of some) {
        for (const codec of codecsFor(name)) {
          await t.step(`${name}, ${codec}`, async () => {
            const { path } = (await openTinyModel(name)).fixture;
            const roll = dice(codec.length + name.length);
            const seen = SEEN[roll(SEEN.length)]!;
            const layout = () => pagedAttention({ blockTokens: 8 });
            const made = CODECS[codec]!;
            const bare = await run(path, backend, [
              ...[layout(), ...seen(), ...made()],
            ]);
            const all = await run(
              path,
              backend,
              [layout(), ...seen(), ...made(), ...CLEAR.map((p) => p())]
                .toSorted(() => roll(3) - 1),
            );
            assert.deepEqual(all, bare);
          });
        }
      }
    },
  });
}

Deno.test({
  name: `coded K and V give the same bits however prompts are cut${why}`,
  ignore,
  fn: async (t) => {
    for (const name of names) {
      for (const codec of codecsFor(name)) {
        await t.step(`${name}, ${codec}`, async () => {
          const { path } = (await openTinyModel(name)).fixture;
          let want: Float32Array | undefined;
          for (const [chunk, threads] of [[64, 2], [5, 1], [16, 3], [1, 2]]) {
            await using engine = await load(path, {
              backend: "wasm",
              context: 128,
              chunk: chunk!,
              threads: threads!,
              check: true,
              plugins: [
                pagedAttention({ blockTokens: 8 }),
                slidingWindow({
                  window: 30,
                  sinks: 4,
                  layers: (l) => l.layer === 0,
                }),
                ...CODECS[codec]!(),
              ],
            });
            const ids = prompts(engine.spec.vocab).flat();
            const got = await engine.logits(ids, { rows: "all" });
            assert.deepEqual(got, want ??= got, `chunk ${chunk}`);
          }
        });
      }
    }
  },
});

/** Mean and largest difference of rows' probabilities. */
function apart(
  a: Float32Array,
  b: Float32Array,
  vocab: number,
): { mean: number; most: number } {
  let sum = 0, most = 0;
  for (let row = 0; row < a.length; row += vocab) {
    const p = softmax(a.subarray(row, row + vocab));
    const q = softmax(b.subarray(row, row + vocab));
    let off = 0;
    p.forEach((x, i) => off += Math.abs(x - q[i]!) / 2);
    sum += off;
    most = Math.max(most, off);
  }
  return { mean: sum / (a.length / vocab), most };
}

function softmax(x: Float32Array): Float64Array {
  const most = x.reduce((m, v) => Math.max(m, v), -Infinity);
  const e = Float64Array.from(x, (v) => Math.exp(v - most));
  const sum = e.reduce((s, v) => s + v);
  return e.map((v) => v / sum);
}

Deno.test({
  name: `coded K and V are in the kernels what they are in the reference${why}`,
  ignore,
  fn: async (t) => {
    for (const name of names) {
      for (const codec of codecsFor(name)) {
        await t.step(`${name}, ${codec}`, async () => {
          const { path } = (await openTinyModel(name)).fixture;
          const logits = async (options: LoadOptions, coded: boolean) => {
            await using engine = await load(path, {
              ...options,
              precision: "exact",
              context: 128,
              threads: 2,
              plugins: [
                pagedAttention({ blockTokens: 8 }),
                ...(coded ? CODECS[codec]!() : []),
              ],
            });
            const ids = prompts(engine.spec.vocab).flat();
            const got = await engine.logits(ids, { rows: "all" });
            return { got, vocab: engine.spec.vocab };
          };
          const [reference, relaxed, simd] = BACKENDS.map((b) => b);
          const { got: want, vocab } = await logits(reference!, true);
          const { got: plain } = await logits(reference!, false);
          // A value on the edge between two codes may fall on either side: what the
          // kernels do otherwise is small beside what coding does.
          const coded = apart(plain, want, vocab);
          for (const backend of [relaxed!, simd!]) {
            const { got } = await logits(backend, true);
            const { mean } = apart(want, got, vocab);
            assert.ok(
              mean <= 0.35 * coded.mean + 1e-5,
              `${mean}, coding alone ${coded.mean}`,
            );
          }
        });
      }
    }
  },
});

const real = await cachedModel("smollm2");

Deno.test({
  name: `coded K and V keep the laws on a real model${
    real === undefined ? " (ignored: smollm2 is not there)" : ""
  }`,
  ignore: real === undefined,
  fn: async (t) => {
    for (const codec of ["int8", "int8/int4"]) {
      await t.step(codec, async () => {
        const wasm: LoadOptions = { backend: "wasm", chunk: 64 };
        const layout = () => pagedAttention({ blockTokens: 16 });
        const made = CODECS[codec]!;
        const bare = await run(real!, wasm, [layout(), ...made()]);
        const all = await run(real!, wasm, [
          ...[...CLEAR.map((p) => p()), ...made(), layout()],
        ]);
        assert.deepEqual(all, bare);
      });
    }
  },
});
