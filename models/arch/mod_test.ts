import assert from "node:assert/strict";
import { ModelError } from "../../core/errors.ts";
import { mlpsOf, modelShape, type ModelSpec } from "../../core/model.ts";
import { openGguf } from "../gguf.ts";
import { VALUE } from "../gguf/value_types.ts";
import {
  fixtureTest,
  modelTest,
  readJson,
  withFile,
} from "../testing/files.ts";
import type { WrittenFile } from "../testing/gguf_writer.ts";
import { type Changes, tinyLlama } from "../testing/tiny_llama.ts";
import { modelSpec } from "./mod.ts";

function specOf(file: WrittenFile): Promise<ModelSpec> {
  return withFile(file, async (path) => modelSpec(await openGguf(path)));
}

/** One entry of the llama metadata as a change. */
function set(key: string, kind: number, value: unknown): Changes {
  return { [`llama.${key}`]: [`llama.${key}`, kind, value] };
}

Deno.test("modelSpec() describes a llama with grouped heads and a tied output", async () => {
  const spec = await specOf(tinyLlama());
  assert.equal(spec.architecture, "llama");
  assert.deepEqual(
    [spec.vocab, spec.hidden, spec.context, spec.embeddingScale],
    [8, 32, 64, 1],
  );
  assert.equal(spec.normEps, Math.fround(1e-5));
  assert.equal(spec.output, spec.embedding);
  const [layer] = spec.layers;
  assert.deepEqual(
    [layer!.qHeads, layer!.kvHeads, layer!.headDim, layer!.mlp!.ffn],
    [2, 1, 16, 32],
  );
  assert.deepEqual(layer!.rope, {
    style: "neighbours",
    base: 10_000,
    divide: 1,
    dims: 16,
  });
  assert.equal(layer!.attnScale, 0.25);
  assert.equal(layer!.activation, "silu");
  assert.equal(layer!.window, undefined);
  assert.equal(layer!.tensors.qNorm, undefined);
  assert.equal(modelShape(spec).layers[0]!.kvHeads, 1);
});

Deno.test("modelSpec() takes an output of its own and rope factors", async () => {
  const spec = await specOf(
    tinyLlama({}, { "output.weight": [32, 8], "rope_freqs.weight": [8] }),
  );
  assert.equal(spec.output, "output.weight");
  assert.equal(spec.layers[0]!.rope.factors, "rope_freqs.weight");
});

Deno.test("modelSpec() takes a head size of its own", async () => {
  const spec = await specOf(tinyLlama({
    ...set("attention.key_length", VALUE.U32, 8),
    ...set("attention.value_length", VALUE.U32, 8),
  }, {
    "blk.0.attn_q.weight": [32, 16],
    "blk.0.attn_k.weight": [32, 8],
    "blk.0.attn_v.weight": [32, 8],
    "blk.0.attn_output.weight": [16, 32],
  }));
  assert.equal(spec.layers[0]!.headDim, 8);
});

Deno.test("modelSpec() reads linear scaling by its new and its old key", async () => {
  for (const key of ["rope.scaling.factor", "rope.scale_linear"]) {
    const spec = await specOf(tinyLlama(set(key, VALUE.F32, 4)));
    assert.equal(spec.layers[0]!.rope.divide, 4);
  }
  const none = await specOf(tinyLlama({
    ...set("rope.scaling.factor", VALUE.F32, 4),
    ...set("rope.scaling.type", VALUE.STRING, "none"),
  }));
  assert.equal(none.layers[0]!.rope.divide, 1);
});

Deno.test("modelSpec() gives every layer of a llama the window its file asks for", async () => {
  const spec = await specOf(
    tinyLlama(set("attention.sliding_window", VALUE.U32, 16)),
  );
  const plain = await specOf(tinyLlama());
  assert.deepEqual(spec.layers.map((l) => l.window), [16]);
  assert.deepEqual(spec.layers[0]!.rope, plain.layers[0]!.rope);
});

Deno.test("modelSpec() accepts zeros where a feature is off", async () => {
  await specOf(tinyLlama({
    ...set("expert_count", VALUE.U32, 0),
    ...set("attention.sliding_window", VALUE.U32, 0),
  }));
});

const REFUSED: readonly [string, WrittenFile, RegExp][] = [
  [
    "heads for which YaRN would work out a thousand million factors",
    tinyLlama({
      ...set("attention.key_length", VALUE.U32, 2 ** 31 - 2),
      ...set("attention.value_length", VALUE.U32, 2 ** 31 - 2),
      ...set("rope.scaling.type", VALUE.STRING, "yarn"),
      ...set("rope.scaling.factor", VALUE.F32, 4),
    }),
    /heads have 2147483646 values .*, wanted at most 65536/,
  ],
  [
    "another rope scaling",
    tinyLlama(set("rope.scaling.type", VALUE.STRING, "ntk")),
    /"ntk", wanted one of none, linear, yarn, longrope/,
  ],
  [
    "heads that turn in part",
    tinyLlama(set("rope.dimension_count", VALUE.U32, 8)),
    /dimension_count" is 8, wanted the even head size 16/,
  ],
  [
    "a NaN epsilon",
    tinyLlama(set("attention.layer_norm_rms_epsilon", VALUE.F32, NaN)),
    /epsilon" is NaN, wanted a number above 0/,
  ],
  [
    "an infinite rope base",
    tinyLlama(set("rope.freq_base", VALUE.F32, Infinity)),
    /freq_base" is Infinity/,
  ],
  [
    "a head count that is text",
    tinyLlama(set("attention.head_count", VALUE.STRING, "two")),
    /head_count" is "two", wanted a whole number/,
  ],
  [
    "a negative layer count",
    tinyLlama(set("block_count", VALUE.I32, -1)),
    /block_count" is -1/,
  ],
  [
    "four thousand million layers",
    tinyLlama(set("block_count", VALUE.U32, 2 ** 32 - 1)),
    /block_count" is 4294967295/,
  ],
  [
    "two million layers",
    tinyLlama(set("block_count", VALUE.U32, 2e6)),
    /block_count" is 2000000, wanted at most/,
  ],
  [
    "heads per layer for other layers",
    tinyLlama({
      "llama.attention.head_count": [
        "llama.attention.head_count",
        VALUE.ARRAY,
        VALUE.U32,
        [2, 2],
      ],
    }),
    /head_count" has 2 values, wanted one for each of 1 layers/,
  ],
  [
    "query heads that do not share out",
    tinyLlama(set("attention.head_count_kv", VALUE.U32, 3)),
    /head_count" is 2, wanted a multiple of .* is 3/,
  ],
  [
    "keys and values of two sizes",
    tinyLlama(set("attention.value_length", VALUE.U32, 8)),
    /value_length" is 8, wanted the keys' 16/,
  ],
  [
    "LongRoPE without its factors",
    tinyLlama(set("rope.scaling.type", VALUE.STRING, "longrope")),
    /"longrope", and there is no tensor "rope_factors_long\.weight"/,
  ],
  [
    "half of LongRoPE's factors",
    tinyLlama({}, { "rope_factors_long.weight": [8] }),
    /"rope_factors_short\.weight" is missing, wanted 8 × 1/,
  ],
  [
    "YaRN with factors of the file's own",
    tinyLlama({
      ...set("rope.scaling.type", VALUE.STRING, "yarn"),
      ...set("rope.scaling.factor", VALUE.F32, 4),
    }, { "rope_freqs.weight": [8] }),
    /"yarn", and there is a tensor "rope_freqs\.weight"/,
  ],
  [
    "a YaRN with a ramp of its own",
    tinyLlama({
      ...set("rope.scaling.type", VALUE.STRING, "yarn"),
      ...set("rope.scaling.factor", VALUE.F32, 4),
      ...set("rope.scaling.yarn_beta_fast", VALUE.F32, 16),
    }),
    /yarn_beta_fast" is 16, wanted 32 or none/,
  ],
  [
    "an original context of 0",
    tinyLlama({
      ...set("rope.scaling.type", VALUE.STRING, "yarn"),
      ...set("rope.scaling.factor", VALUE.F32, 4),
      ...set("rope.scaling.original_context_length", VALUE.U32, 0),
    }),
    /original_context_length" is 0/,
  ],
  [
    "a bias of the output",
    tinyLlama({}, { "blk.0.attn_output.bias": [32] }),
    /"blk\.0\.attn_output\.bias" is not part of the architecture "llama"/,
  ],
  [
    "one bias of three",
    tinyLlama({}, { "blk.0.attn_q.bias": [32] }),
    /"blk\.0\.attn_k\.bias" is missing/,
  ],
  [
    "a fused projection that the architecture has not",
    tinyLlama({}, {
      "blk.0.attn_qkv.weight": [32, 64],
      "blk.0.attn_q.weight": undefined,
      "blk.0.attn_k.weight": undefined,
      "blk.0.attn_v.weight": undefined,
    }),
    /"blk\.0\.attn_q\.weight" is missing/,
  ],
  [
    "rope factors of another length",
    tinyLlama({}, { "rope_freqs.weight": [16] }),
    /"rope_freqs\.weight" is 16 × 1, wanted 8 × 1/,
  ],
  [
    "a stacked matrix",
    tinyLlama({}, { "blk.0.ffn_up.weight": [32, 32, 2] }),
    /"blk\.0\.ffn_up\.weight" is 32 × 32 × 2, wanted 32 × 32/,
  ],
  [
    "no architecture",
    tinyLlama({ "general.architecture": undefined }),
    /"general\.architecture" is missing; supported are llama, .*gemma3/,
  ],
];

for (const [name, file, says] of REFUSED) {
  Deno.test(`modelSpec() refuses ${name}`, async () => {
    await assert.rejects(specOf(file), (error: Error) => {
      assert.ok(error instanceof ModelError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  });
}

interface Expected {
  readonly models: readonly {
    readonly model: string;
    readonly architecture: string;
    readonly config: Readonly<Record<string, number | boolean>>;
  }[];
}

fixtureTest(
  "modelSpec() agrees with the shapes of the tiny models",
  "tiny/dev/index.json",
  async (index) => {
    const { models } = await readJson<Expected>(index);
    for (const { model, architecture, config } of models) {
      const file = await openGguf(new URL(model, index).pathname);
      const spec = modelSpec(file);
      assert.equal(spec.architecture, architecture);
      const layer = spec.layers[0]!;
      assert.deepEqual(
        {
          hidden: spec.hidden,
          layers: spec.layers.length,
          heads: layer.qHeads,
          kv_heads: layer.kvHeads,
          head_dim: layer.headDim,
          ffn: mlpsOf(layer)[0]!.ffn,
          vocab: spec.vocab,
          tied: spec.output === spec.embedding,
          ...(layer.experts === undefined ? {} : {
            experts: layer.experts.each.length,
            experts_used: layer.experts.used,
          }),
        },
        (({ window: _, ...rest }) => rest)(config),
        model,
      );
    }
  },
);

fixtureTest(
  "modelSpec() gives gemma3 five windowed layers to each full one",
  "tiny/dev/gemma3.gguf",
  async (url) => {
    const spec = modelSpec(await openGguf(url.pathname));
    assert.deepEqual(
      spec.layers.map((l) => [l.window, l.rope.base, l.rope.divide]),
      [...Array(5).fill([16, 10_000, 1]), [undefined, 1_000_000, 8]],
    );
    const [layer] = spec.layers;
    assert.equal(spec.embeddingScale, 8);
    assert.equal(layer!.rope.style, "halves");
    assert.equal(layer!.activation, "gelu");
    assert.equal(layer!.attnScale, 1 / Math.sqrt(32));
    assert.equal(layer!.tensors.qNorm, "blk.0.attn_q_norm.weight");
    assert.equal(layer!.tensors.postFfnNorm, "blk.0.post_ffw_norm.weight");
  },
);

modelTest("modelSpec() describes SmolLM2", "smollm2", async (path) => {
  const spec = modelSpec(await openGguf(path));
  assert.deepEqual(
    [spec.layers.length, spec.hidden, spec.vocab, spec.context],
    [30, 576, 49152, 8192],
  );
  assert.equal(spec.layers[29]!.rope.base, 100_000);
});

modelTest("modelSpec() describes Gemma 3 270M", "gemma3", async (path) => {
  const spec = modelSpec(await openGguf(path));
  assert.equal(spec.layers.filter((l) => l.window === 512).length, 15);
  assert.equal(spec.layers[5]!.rope.base, 1_000_000);
  assert.equal(spec.layers[0]!.attnScale, 1 / 16);
});
