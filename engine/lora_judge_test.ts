import assert from "node:assert/strict";
import { maxAbsDiff } from "../core/testing/compare.ts";
import { ARCHITECTURES } from "../models/arch/mod.ts";
import { readJson, withFile } from "../models/testing/files.ts";
import { load } from "./load.ts";
import type { LoadOptions } from "./options.ts";
import { loraModel } from "./testing/lora_models.ts";

/** See testdata/lora/README.md. */
interface Expected {
  readonly tokens: readonly number[];
  readonly logits: Readonly<Record<string, readonly number[]>>;
}

const RUNS: readonly (readonly [LoadOptions, bound: number])[] = [
  [{ backend: "reference" }, 5e-4],
  [{ precision: "exact", build: "simd" }, 5e-4],
  [{ precision: "exact", build: "relaxed" }, 5e-4],
  [{ build: "simd" }, 0.1],
  [{ build: "relaxed" }, 0.1],
];

for (const architecture of ["llama", "qwen2"] as const) {
  const folder = new URL(`testdata/lora/${architecture}/`, import.meta.url);
  Deno.test({
    name: `load() of PEFT adapters computes what PEFT does, ${architecture}`,
    ignore: !ARCHITECTURES.has(architecture),
    fn: async (t) => {
      const { tokens, logits } = await readJson<Expected>(
        new URL("expected.json", folder),
      );
      const adapters = {
        rooted: new URL("rooted", folder),
        plain: new URL("plain/adapter_model.safetensors", folder),
      };
      for (const [options, bound] of RUNS) {
        await t.step(JSON.stringify(options), async () => {
          await withFile(loraModel(architecture), async (path) => {
            const wanted = { threads: 2, ...options, adapters };
            await using engine = await load(path, wanted);
            for (const [names, want] of Object.entries(logits)) {
              const adapters = names === "" ? [] : names.split(",");
              const rows = "all";
              const got = await engine.logits(tokens, { rows, adapters });
              const most = maxAbsDiff(got, want);
              assert.ok(most <= bound, `"${names}": ${most} above ${bound}`);
            }
          });
        });
      }
    },
  });
}
