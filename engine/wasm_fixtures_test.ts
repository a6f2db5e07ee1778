import assert from "node:assert/strict";
import { checkTiny, tinyModels } from "./testing/tiny_fixtures.ts";
import { openTinyModel } from "./testing/tiny_models.ts";
import { fastLevel, type WasmCut, wasmLogits } from "./testing/wasm_logits.ts";

const models = tinyModels();
const ignore = models.length === 0;
const why = ignore ? " (ignored: no fixtures beside the repository)" : "";

const BUILDS = ["simd", "relaxed"] as const;

const WHOLE: WasmCut = { blockTokens: 32, chunk: 176 };

for (const exact of [true, false]) {
  const level = exact
    ? '"float32"'
    : '"half_kv" or, for packed weights, "int8"';
  Deno.test({
    name:
      `createWasm({ exact: ${exact} }) meets level ${level} on the tiny models${why}`,
    ignore,
    fn: async (t) => {
      for (const name of models) {
        await t.step(name, async () => {
          const model = await openTinyModel(name);
          for (const build of BUILDS) {
            await using wasm = await wasmLogits(model, {
              ...WHOLE,
              build,
              exact,
            });
            await checkTiny(
              model.fixture,
              exact ? "float32" : fastLevel(model),
              wasm.logits,
            );
          }
        });
      }
    },
  });
}

/** Ways to run that may change no bit. */
const WAYS: Readonly<Record<string, WasmCut>> = {
  "one thread": { ...WHOLE, threads: 1 },
  "three threads": { ...WHOLE, threads: 3 },
  "chunks of 7, then one at a time": { ...WHOLE, chunk: 7, decode: 60 },
  "chunks of 33, blocks of 8": { blockTokens: 8, chunk: 33 },
};

Deno.test({
  name:
    `createWasm() changes no bit with threads, chunks, blocks or the width of its sums${why}`,
  ignore,
  fn: async (t) => {
    for (const name of models) {
      await t.step(name, async () => {
        const model = await openTinyModel(name);
        const [, , { tokens, greedy }] = model.fixture.sequences as [
          unknown,
          unknown,
          typeof model.fixture.sequences[0],
        ];
        const ids = [...tokens, ...greedy.tokens];
        for (const build of BUILDS) {
          const run = async (cut: WasmCut): Promise<Float32Array> => {
            await using wasm = await wasmLogits(model, {
              mode: 0,
              ...cut,
              build,
            });
            return await wasm.logits(ids);
          };
          const want = await run(WHOLE);
          for (const [way, cut] of Object.entries(WAYS)) {
            const got = await run(cut);
            const at = got.findIndex((x, i) => !Object.is(x, want[i]));
            assert.equal(at, -1, `${build}, ${way}: another bit at ${at}`);
          }
        }
      });
    }
  },
});
