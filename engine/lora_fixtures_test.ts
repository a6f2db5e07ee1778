import assert from "node:assert/strict";
import { maxAbsDiff, rmsDiff } from "../core/testing/compare.ts";
import { adaptable } from "../core/testing/random_adapters.ts";
import { VALUE } from "../models/gguf/value_types.ts";
import { withFile } from "../models/testing/files.ts";
import {
  ggufAdapter,
  type WrittenModule,
} from "../models/testing/lora_writer.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { tinyModels } from "./testing/tiny_fixtures.ts";
import { openTinyModel } from "./testing/tiny_models.ts";

/** Weights of all kinds of kernels, norms after each half, windows, tied outputs. */
const NAMES = [
  "llama-gqa-q4_0",
  "llama-gqa-q4_k_m",
  "llama-gqa-q6_k",
  "llama-gqa-q8_0",
  "llama-gqa-f16",
  "mistral-swa",
  "head-80",
  "gemma2",
  "gemma3",
  "qwen2",
  "qwen3",
  "phi3",
].filter((name) => tinyModels().includes(name));

const RUNS: readonly (readonly [LoadOptions, bound: number])[] = [
  [{ precision: "exact", build: "simd" }, 1e-3],
  [{ precision: "exact", build: "relaxed" }, 1e-3],
  [{ build: "simd" }, 0.3],
  [{ build: "relaxed" }, 0.3],
];

Deno.test({
  name:
    "the CPU kernels add adapters to weights of all kinds as the reference does",
  ignore: NAMES.length === 0,
  fn: async (t) => {
    for (const name of NAMES) {
      const { spec, fixture: { path } } = await openTinyModel(name);
      const own = spec.output === spec.embedding;
      const all = new Map<string, WrittenModule>();
      for (const tensor of adaptable(spec)) {
        const { inputs, outputs } = spec.tensors.get(tensor)!;
        // Views of one matrix are adapted as one.
        const name = own && tensor === spec.output
          ? "output.weight"
          : tensor.replace(/\[.*/, "");
        const before = all.get(name)?.outputs ?? 0, rank = 1 + all.size % 9;
        all.set(name, { name, inputs, outputs: before + outputs, rank });
      }
      const modules = [...all.values()];
      const architecture = "general.architecture";
      const file = ggufAdapter(modules, 3, {
        architecture: [architecture, VALUE.STRING, spec.architecture],
        alpha: ["adapter.lora.alpha", VALUE.F32, 0.7],
      });
      await withFile(file, async (a) => {
        const common = { adapters: { a }, context: 128, chunk: 24, threads: 2 };
        const tokens = Array.from(
          { length: 50 },
          (_, i) => 3 + (i * i * 7 + i) % (spec.vocab - 3),
        );
        const ask = { rows: "all", adapter: "a" } as const;
        await using reference = await load(path, {
          ...common,
          backend: "reference",
        });
        const want = await reference.logits(tokens, ask);
        const plain = await reference.logits(tokens, { rows: "all" });
        const moved = rmsDiff(want, plain);
        assert.ok(moved > 1, `${name}: the adapter moves logits by ${moved}`);
        for (const [options, bound] of RUNS) {
          await t.step(`${name} ${JSON.stringify(options)}`, async () => {
            await using engine = await load(path, { ...common, ...options });
            const none = await engine.logits(tokens, { rows: "all" });
            const [got, other, again] = await Promise.all([
              engine.logits(tokens, ask),
              engine.logits(tokens, { rows: "all" }),
              engine.logits(tokens.slice(0, 31), ask),
            ]);
            const most = options.precision === "exact"
              ? maxAbsDiff(got, want)
              : rmsDiff(got, want);
            assert.ok(most <= bound, `${most} above ${bound}`);
            assert.deepEqual(other, none);
            assert.deepEqual(again, got.slice(0, again.length));
          });
        }
      }, "adapter.gguf");
    }
  },
});
