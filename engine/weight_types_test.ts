// Whole models in each of the formats that no fixture has, on every backend.
import assert from "node:assert/strict";
import type { ModelSpec, TensorInfo } from "../core/model.ts";
import {
  logSoftmax,
  maxAbsDiff,
  quantile,
  rmsDiff,
} from "../core/testing/compare.ts";
import { randomModel } from "../core/testing/random_model.ts";
import { bytesOf, TENSOR_TYPES } from "../models/tensor_types.ts";
import {
  SCALED_TYPES,
  scaledBlocks,
  type ScaledType,
} from "../models/testing/scaled_blocks.ts";
import { readTensor } from "../models/weights.ts";
import { weightNotes } from "../wasm/weight_notes.ts";
import { referenceLogits } from "./testing/reference_logits.ts";
import { wasmLogits } from "./testing/wasm_logits.ts";
import type { TinyModel } from "./testing/tiny_models.ts";

const HEADS = { qHeads: 8, kvHeads: 2, headDim: 32, ffn: 256 };
const RANDOM = randomModel({
  vocab: 56,
  hidden: 256,
  layers: [HEADS, { ...HEADS, window: 20 }],
});

/** The random model with matrices in a format, vectors in f32, for as long as `use` runs. */
async function withModel(
  type: ScaledType,
  use: (model: TinyModel) => Promise<void>,
): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".tensors" });
  try {
    const tensors = new Map<string, TensorInfo>();
    const parts: Uint8Array[] = [];
    let offset = 0;
    for (const info of RANDOM.spec.tensors.values()) {
      const vector = info.outputs === 1, size = info.inputs * info.outputs;
      const blocks = size / TENSOR_TYPES[type].values;
      const bytes = vector
        ? new Uint8Array((await RANDOM.read(info.name)).slice().buffer)
        : scaledBlocks(type, blocks, 2 / Math.sqrt(info.inputs), offset % 97);
      const kept = vector ? "F32" as const : type;
      assert.equal(bytes.length, bytesOf(kept, size));
      const place = { offset, bytes: bytes.length };
      tensors.set(info.name, { ...info, ...place, type: kept });
      parts.push(bytes);
      offset += bytes.length;
    }
    await Deno.writeFile(path, new Blob(parts as BlobPart[]).stream());
    const spec: ModelSpec = { ...RANDOM.spec, tensors };
    const file = { path, files: [{ path, bytes: offset }], tensors };
    const model = {
      spec,
      file,
      read: (name: string) => readTensor(model.file, name),
    } as unknown as TinyModel;
    await use(model);
  } finally {
    await Deno.remove(path);
  }
}

const IDS = Array.from({ length: 40 }, (_, i) => (i * i * 5 + 3) % 56);

for (const type of SCALED_TYPES) {
  Deno.test(`a model in ${type} has one backend's logits on the others`, async () => {
    await withModel(type, async (model) => {
      const { spec, read } = model;
      const cut = { length: 40, blockTokens: 16, chunk: 40 };
      const want = await referenceLogits(spec, read, cut)(IDS);
      for (const build of ["simd", "relaxed"] as const) {
        for (const exact of [true, false]) {
          const settings = { build, exact, blockTokens: 16, chunk: 24 };
          await using wasm = await wasmLogits(model, settings);
          const got = await wasm.logits(IDS);
          const off = IDS.map((_, i) => {
            const row = (all: Float32Array) =>
              logSoftmax(all.subarray(i * spec.vocab, (i + 1) * spec.vocab));
            return (exact ? maxAbsDiff : rmsDiff)(row(got), row(want));
          });
          const what = `${build}, exact ${exact}: ${off}`;
          if (exact) assert.ok(Math.max(...off) < 5e-4, what);
          // Eight-bit activations; see the fixtures' tolerances.
          else assert.ok(quantile(off, 0.5) < 0.15, what);
        }
      }
    });
  });
}

Deno.test("weightNotes() says what becomes of a format, and how many bits it takes", async () => {
  const said: Partial<Record<ScaledType, readonly string[]>> = {
    IQ4_NL: [],
    IQ3_S: [
      "16 matrices of IQ3_S: repacked, codes of a book of 16 values, f32 scales; 5 bits instead of 3.44",
    ],
    IQ2_S: [
      "16 matrices of IQ2_S: rounded to Q8_0, no kernel reads them; 8.5 bits instead of 2.56",
    ],
    MXFP4: [
      "16 matrices of MXFP4: repacked, f32 scales; 5 bits instead of 4.25",
    ],
    TQ1_0: [
      "16 matrices of TQ1_0: repacked, as Q4_0; 4.5 bits instead of 1.69",
    ],
  };
  for (const [type, notes] of Object.entries(said)) {
    await withModel(type as ScaledType, ({ spec }) => {
      assert.deepEqual(weightNotes(spec, false), notes);
      return Promise.resolve();
    });
  }
  await withModel("IQ1_M", ({ spec }) => {
    assert.deepEqual(weightNotes(spec, true), [
      "16 matrices of IQ1_M: decoded to f32; 32 bits instead of 1.75",
    ]);
    return Promise.resolve();
  });
});
