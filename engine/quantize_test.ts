// Weights that are rounded as they are read, against files that hold them rounded.
import assert from "node:assert/strict";
import type { RandomModel } from "../core/testing/random_model.ts";
import { dequantise } from "../models/dequantise.ts";
import { quantise } from "../models/quantise.ts";
import { readTensor } from "../models/weights.ts";
import { quantisedSpec, type Quantize } from "../models/quantise_at_load.ts";
import { pagedAttention } from "../plugins/paged_attention.ts";
import { prefixCache } from "../plugins/prefix_cache.ts";
import { weightOffload } from "../plugins/weight_offload.ts";
import { withRandomFile } from "../wasm/testing/random_file.ts";
import {
  logitsOf,
  MODEL,
  streaming,
  streams,
} from "../wasm/testing/streaming.ts";
import { load } from "./load.ts";
import { run } from "./testing/laws.ts";
import { referenceLogits } from "./testing/reference_logits.ts";
import { relativeError, withRoundedTwin } from "./testing/rounded_twin.ts";
import { checkTiny, openTiny, tinyModels } from "./testing/tiny_fixtures.ts";
import { openTinyModel, type TinyModel } from "./testing/tiny_models.ts";
import { type WasmCut, wasmLogits } from "./testing/wasm_logits.ts";

const names = [
  "llama-gqa-f16",
  "llama-gqa-bf16",
  "head-80",
  "gemma3",
  "mixtral-moe",
  "phi3",
]
  .filter((name) => tinyModels().includes(name));
const ignore = names.length === 0;
const why = ignore ? " (ignored: no fixtures beside the repository)" : "";
const KINDS: readonly Quantize[] = ["q8_0", "q4_0"];

/** A model with its weights rounded when they are read. */
async function rounded(name: string, to: Quantize): Promise<TinyModel> {
  const model = await openTinyModel(name);
  const spec = quantisedSpec(model.spec, to);
  const read = (tensor: string) => readTensor(model.file, tensor, spec.tensors);
  return { ...model, spec, read };
}

const CUT: WasmCut = { blockTokens: 32, chunk: 64 };

Deno.test({
  name: `quantize gives the logits of a file that holds the weights so${why}`,
  ignore,
  fn: async (t) => {
    for (const name of names) {
      for (const to of KINDS) {
        await t.step(`${name} as ${to}`, async () => {
          const model = await rounded(name, to), { spec } = model;
          const ids = model.fixture.sequences[1]!.tokens;
          await withRoundedTwin(model, spec, async (twin) => {
            const cut = { length: 64, blockTokens: 32, chunk: 64 };
            assert.deepEqual(
              await referenceLogits(spec, model.read, cut)(ids),
              await referenceLogits(twin.spec, twin.read, cut)(ids),
            );
            for (const build of ["simd", "relaxed"] as const) {
              for (const exact of [false, true]) {
                const of = async (model: TinyModel) => {
                  const settings = { ...CUT, build, exact };
                  await using wasm = await wasmLogits(model, settings);
                  return await wasm.logits(ids);
                };
                assert.deepEqual(await of(model), await of(twin));
              }
            }
          });
        });
      }
    }
  },
});

Deno.test("quantize gives the CPU backend the values that quantise() defines", async () => {
  for (const to of KINDS) {
    const spec = quantisedSpec(MODEL.spec, to);
    // The same values, kept as f32.
    const read = async (name: string): Promise<Float32Array> => {
      const values = await MODEL.read(name), { as } = spec.tensors.get(name)!;
      if (as !== undefined) dequantise(as, quantise(as, values), values);
      return values;
    };
    const logits = (model: RandomModel, streamed: boolean) =>
      withRandomFile(model, async (file) => {
        const plan = streamed ? streams([0, 2, 5], 2, "disk", true) : undefined;
        const { wasm, driver } = await streaming(file, plan, { exact: true });
        try {
          return await logitsOf(driver, 2);
        } finally {
          await wasm[Symbol.asyncDispose]();
        }
      });
    const want = await logits({ spec: MODEL.spec, read }, false);
    for (const streamed of [false, true]) {
      assert.deepEqual(await logits({ ...MODEL, spec }, streamed), want);
    }
  }
});

Deno.test({
  name:
    `quantize comes near the files of a family that hold the same weights${why}`,
  ignore,
  fn: async (t) => {
    for (const base of ["f16", "bf16"]) {
      await t.step(base, async () => {
        const model = await rounded(`llama-gqa-${base}`, "q8_0");
        const fixture = await openTiny("llama-gqa-q8_0");
        await using wasm = await wasmLogits(model, { ...CUT, chunk: 176 });
        await checkTiny(fixture, "int8", wasm.logits);
        // The weights were rounded to 11 or 8 bits before they are rounded again.
        for (const type of ["q8_0", "q4_0"] as const) {
          const other = await openTinyModel(`llama-gqa-${type}`);
          const { spec, read } = await rounded(`llama-gqa-${base}`, type);
          for (const tensor of ["q", "attnOut"] as const) {
            const at = spec.layers[1]!.tensors[tensor];
            const error = relativeError(await read(at), await other.read(at));
            const most = base === "f16" ? 0.015 : 0.03;
            assert.ok(error < most, `${type}, ${at}: ${error}`);
          }
        }
      });
    }
  },
});

Deno.test({
  name:
    `quantize changes no token with weightOffload() or a prefix cache${why}`,
  ignore,
  fn: async () => {
    const { fixture: { path } } = await openTinyModel("llama-gqa-bf16");
    for (const quantize of KINDS) {
      for (const precision of ["fast", "exact"] as const) {
        const options = { quantize, precision };
        const paged = pagedAttention({ blockTokens: 8 });
        const bare = await run(path, options, [paged]);
        for (const from of ["disk", "host"] as const) {
          const offload = weightOffload({ from, resident: 0, depth: 1 });
          const got = await run(path, options, [paged, prefixCache(), offload]);
          assert.deepEqual(got.tokens, bare.tokens, `${quantize}, ${from}`);
        }
      }
    }
  },
});

Deno.test({
  name:
    `load() of rounded weights takes fewer bytes and is another model${why}`,
  ignore,
  fn: async () => {
    const { fixture: { path } } = await openTinyModel("llama-gqa-f16");
    const seen = new Map<string | undefined, { bytes: number; id: string }>();
    for (const quantize of [undefined, ...KINDS]) {
      await using engine = await load(path, { quantize, context: 64 });
      const { bytes } = engine.memory().lines.find((l) =>
        l.owner === "weights"
      )!;
      seen.set(quantize, { bytes, id: engine.plan.fingerprint });
    }
    const [plain, q8, q4] = [...seen.values()];
    assert.equal(new Set([...seen.values()].map((s) => s.id)).size, 3);
    assert.ok(q8!.bytes < plain!.bytes * 0.56);
    assert.ok(q4!.bytes < q8!.bytes * 0.75);
  },
});

Deno.test({
  name: `sessions of rounded weights are those of another model${why}`,
  ignore,
  fn: async () => {
    const { fixture: { path } } = await openTinyModel("llama-gqa-f16");
    const file = await Deno.makeTempFile({ suffix: ".quire" });
    try {
      const options = { context: 64, quantize: "q8_0" } as const;
      {
        await using engine = await load(path, options);
        await engine.save({ tokens: [5, 6, 7, 8] }, file);
      }
      await using same = await load(path, options);
      await same.restore(file);
      await using other = await load(path, { ...options, quantize: "q4_0" });
      await assert.rejects(other.restore(file), /weights/);
    } finally {
      await Deno.remove(file);
    }
  },
});

Deno.test({
  name: `a weight that has no scale ends the load, on every backend${why}`,
  ignore,
  fn: async () => {
    const { fixture, spec } = await openTinyModel("llama-gqa-f16");
    const path = await Deno.makeTempFile({ suffix: ".gguf" });
    try {
      const bytes = await Deno.readFile(fixture.path);
      const { offset } = spec.tensors.get("blk.1.ffn_up.weight")!;
      new DataView(bytes.buffer).setUint16(offset + 2000, 0x7c00, true);
      await Deno.writeFile(path, bytes);
      const settings = { quantize: "q4_0", context: 64 } as const;
      await assert.rejects(
        load(path, { ...settings, backend: "wasm" }),
        /cannot be rounded to Q4_0: they are no numbers/,
      );
      await using engine = await load(path, {
        ...settings,
        backend: "reference",
      });
      await assert.rejects(
        engine.logits([5, 6]),
        /"blk.1.ffn_up.weight": Cannot round weights to Q4_0/,
      );
    } finally {
      await Deno.remove(path);
    }
  },
});

Deno.test({
  name: `load() refuses a format that nothing is rounded to${why}`,
  ignore,
  fn: async () => {
    const { fixture: { path } } = await openTinyModel("llama-gqa-f16");
    await assert.rejects(
      load(path, { quantize: "q5_0" as Quantize }),
      /Cannot load with "quantize" "q5_0": "q8_0", "q4_0" are possible/,
    );
  },
});
