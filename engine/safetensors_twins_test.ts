import assert from "node:assert/strict";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { modelSpec } from "../models/arch/mod.ts";
import { openModel } from "../models/open_model.ts";
import { type HubStyle, writeHubFolder } from "../models/testing/hub_folder.ts";
import { createTokenizer } from "../models/tokenizer.ts";
import { readTensor } from "../models/weights.ts";
import { referenceLogits } from "./testing/reference_logits.ts";
import { checkTiny, tinyModels } from "./testing/tiny_fixtures.ts";
import { openTinyModel, type TinyModel } from "./testing/tiny_models.ts";
import { wasmLogits } from "./testing/wasm_logits.ts";

/** Tiny models of every family, as far as the fixtures are there. */
const TWINS = [
  ...["llama-gqa", "llama-mha", "llama-mqa", "llama3-rope", "mistral-swa"],
  ...["head-32", "head-64", "head-80", "head-96", "head-128", "head-256"],
  ...["gemma2", "gemma3", "qwen2", "qwen3", "phi3", "mixtral-moe"],
].filter((name) => tinyModels().includes(name));

const ignore = TWINS.length === 0;

/** What rounding may differ by: sums of a head's values run in another order. */
const ROUNDING = 1e-4;

/** Runs `use` with a model's twin. */
async function withTwin(
  name: string,
  style: HubStyle,
  use: (twin: TinyModel, model: TinyModel) => Promise<void>,
): Promise<void> {
  const model = await openTinyModel(name);
  const folder = await Deno.makeTempDir({ prefix: "quire_twin_" });
  try {
    await writeHubFolder(model.file, folder, style);
    const file = await openModel(folder), spec = modelSpec(file);
    const read = (tensor: string) => readTensor(file, tensor, spec.tensors);
    await use({ fixture: model.fixture, file, spec, read }, model);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

const cut = { length: 176, blockTokens: 32, chunk: 64 };

function onReference({ spec, read }: TinyModel) {
  return referenceLogits(spec, read, cut);
}

Deno.test({
  name:
    `a model as safetensors gives the logits of its GGUF twin, on every backend`,
  ignore,
  fn: async (t) => {
    for (const [i, name] of TWINS.entries()) {
      const style = i % 2 === 0 ? { recent: true, fused: true } : { shards: 3 };
      await t.step(name, () =>
        withTwin(name, style, async (twin, model) => {
          const { fixture } = twin;
          const ids = fixture.sequences[1]!.tokens;
          const wanted = await onReference(model)(ids);
          const got = await onReference(twin)(ids);
          assert.ok(maxAbsDiff(got, wanted) <= ROUNDING);
          for (const build of ["simd", "relaxed"] as const) {
            await using wasm = await wasmLogits(twin, {
              build,
              exact: true,
              blockTokens: 16,
              chunk: 33,
              decode: 24,
            });
            await checkTiny(fixture, "float32", wasm.logits);
            const logits = await wasm.logits(ids);
            assert.ok(maxAbsDiff(logits, wanted) <= ROUNDING);
          }
          await using fast = await wasmLogits(twin, {
            blockTokens: 16,
            chunk: 64,
          });
          await checkTiny(fixture, "half_kv", fast.logits);
        }));
    }
  },
});

Deno.test({
  name:
    "a model as safetensors in F16 or BF16 gives the logits of its rounding",
  ignore,
  fn: async (t) => {
    const names = ["llama-gqa", "gemma3", "qwen2", "phi3", "mixtral-moe"];
    for (const name of names.filter((name) => TWINS.includes(name))) {
      for (const dtype of ["F16", "BF16"] as const) {
        await t.step(
          `${name}, ${dtype}`,
          () =>
            withTwin(name, { dtype }, async (twin, { fixture, file }) => {
              const types = new Set(
                [...twin.file.tensors.values()].map((t) => t.type),
              );
              assert.deepEqual([...types], [dtype]);
              const ids = fixture.sequences[1]!.tokens;
              const spec = modelSpec(file);
              // The same weights, rounded here: norms as they are stored.
              const less = name === "gemma3" ? 1 : 0;
              const wanted = await referenceLogits(spec, async (tensor) => {
                const values = await readTensor(file, tensor, spec.tensors);
                const norm = /norm\.weight$/.test(tensor) ? less : 0;
                return values.map((x) => rounded(dtype, x - norm) + norm);
              }, cut)(ids);
              const exact = await onReference(twin)(ids);
              assert.ok(maxAbsDiff(exact, wanted) <= ROUNDING);
              await using wasm = await wasmLogits(twin, {
                exact: true,
                blockTokens: 16,
                chunk: 33,
              });
              const logits = await wasm.logits(ids);
              assert.ok(maxAbsDiff(logits, wanted) <= ROUNDING);
            }),
        );
      }
    }
  },
});

/** A value in so many bits of fraction, to the nearest. */
function rounded(dtype: "F16" | "BF16", x: number): number {
  const bits = dtype === "F16" ? 10 : 7;
  const least = dtype === "F16" ? -14 : -126;
  if (x === 0) return 0;
  const exponent = Math.max(least, Math.floor(Math.log2(Math.abs(x))));
  const step = 2 ** (exponent - bits), whole = Math.floor(x / step);
  const rest = x / step - whole;
  const up = rest > 0.5 || rest === 0.5 && whole % 2 !== 0;
  return (up ? whole + 1 : whole) * step;
}

Deno.test({
  name: "a tokenizer.json gives the tokens of its GGUF twin",
  ignore,
  fn: async (t) => {
    for (const name of TWINS) {
      await t.step(name, () =>
        withTwin(name, {}, async (twin, model) => {
          const got = createTokenizer(twin.file);
          const wanted = createTokenizer(model.file);
          assert.equal(got.vocab, wanted.vocab);
          assert.equal(got.bos, wanted.bos);
          assert.equal(got.eos, wanted.eos);
          assert.deepEqual([...got.eog].sort(), [...wanted.eog].sort());
          assert.equal(got.addBos, wanted.addBos);
          const text = await Deno.readTextFile(
            model.fixture.path.replace(/\.gguf$/, ".json"),
          );
          const { tokenize } = JSON.parse(text) as {
            tokenize: { text: string; ids: number[] }[];
          };
          assert.ok(tokenize.length > 0);
          for (const { text, ids } of tokenize) {
            assert.deepEqual(got.encode(text), ids, text);
          }
          for (let id = 0; id < got.vocab; id++) {
            assert.deepEqual(got.bytes(id), wanted.bytes(id));
          }
        }));
    }
  },
});
