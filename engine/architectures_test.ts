// Architectures of which there is no tiny model: small ones made from nothing, against
// what llama.cpp computes with the same file (testdata/README.md).
import assert from "node:assert/strict";
import { logSoftmax, maxAbsDiff } from "../core/testing/compare.ts";
import { ARCHITECTURES, modelSpec } from "../models/arch/mod.ts";
import { openGguf } from "../models/gguf.ts";
import { withFile } from "../models/testing/files.ts";
import { readTensor } from "../models/weights.ts";
import expected from "./testdata/llama_cpp.json" with { type: "json" };
import { MADE, madeModel, TOKENS, VOCAB } from "./testing/made_models.ts";
import { referenceLogits } from "./testing/reference_logits.ts";
import { wasmLogits } from "./testing/wasm_logits.ts";

/** Tokens of which the outputs are known. */
const KNOWN = [1, 17, 39];

/** Log-probabilities of all tokens, with blanks between. */
const EXPECTED: Readonly<Record<string, readonly string[]>> = expected;

/** Largest difference of a log-probability. */
function off(logits: Float32Array, name: string): number {
  return Math.max(...KNOWN.map((at, i) => {
    const row = logSoftmax(logits.subarray(at * VOCAB, (at + 1) * VOCAB));
    return maxAbsDiff(row, EXPECTED[name]![i]!.split(" ").map(Number));
  }));
}

Deno.test("modelSpec() and every backend compute what llama.cpp does", async (t) => {
  for (const [name, made] of Object.entries(MADE)) {
    await t.step(name, async () => {
      await withFile(madeModel(made), async (path) => {
        const file = await openGguf(path);
        const spec = modelSpec(file, made.context);
        const read = (tensor: string) => readTensor(file, tensor, spec.tensors);
        const reference = referenceLogits(spec, read, {
          length: TOKENS.length,
          blockTokens: 16,
          chunk: 9,
        });
        const gelu = spec.layers[0]!.activation === "gelu";
        const bound = gelu ? 0.02 : 2e-4, want = await reference(TOKENS);
        const far = off(want, name);
        assert.ok(far <= bound, `reference: ${far}`);
        for (const build of ["simd", "relaxed"] as const) {
          for (const exact of [true, false]) {
            const cut = { blockTokens: 8, chunk: 11, build, exact };
            const model = { spec, file } as never;
            await using wasm = await wasmLogits(model, cut);
            const got = await wasm.logits(TOKENS);
            const far = maxAbsDiff(got, want), most = exact ? 1e-4 : 0.1;
            assert.ok(far <= most, `${build}, exact ${exact}: ${far}`);
          }
        }
      });
    });
  }
});

Deno.test("every architecture without experts is compared with another program", () => {
  const made = new Set(Object.values(MADE).map((m) => m.architecture));
  // Of the tiny models.
  made.add("gemma3");
  const alone = [...ARCHITECTURES.values()]
    .filter((a) => a.refuses.includes("expert_count") && !made.has(a.name));
  assert.deepEqual(alone.map((a) => a.name), []);
});

Deno.test("the factors that a context chooses are part of the model's name", async () => {
  const made = MADE["phi3 beyond its first context"]!;
  await withFile(madeModel(made), async (path) => {
    const file = await openGguf(path);
    const [short, long, most] = [300, 301, undefined].map((context) =>
      modelSpec(file, context)
    );
    assert.equal(short!.layers[0]!.rope.factors, "rope_factors_short.weight");
    assert.equal(long!.layers[3]!.rope.factors, "rope_factors_long.weight");
    assert.notEqual(short!.id, long!.id);
    assert.deepEqual(most, long);
  });
});
