import assert from "node:assert/strict";
import { ModelError } from "../../core/errors.ts";
import type { Described } from "./metadata.ts";
import { describe } from "./metadata.ts";

type Values = Readonly<Record<string, unknown>>;

const LLAMA: Values = {
  model_type: "llama",
  hidden_size: 64,
  intermediate_size: 96,
  num_hidden_layers: 4,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-6,
  vocab_size: 100,
  hidden_act: "silu",
};

function told(changes: Values = {}): Described {
  return describe("c", { ...LLAMA, ...changes });
}

/** A key of the metadata, without the architecture. */
function word({ metadata, family }: Described, key: string): unknown {
  return metadata[`${family.architecture}.${key}`];
}

const windows = (told: Described) => [
  word(told, "attention.sliding_window"),
  word(told, "attention.sliding_window_pattern"),
];

Deno.test("describe() reads windows as each kind of model has them", () => {
  const layers = (...on: number[]) => [0, 1, 2, 3].map((i) => on.includes(i));
  const mistral = { model_type: "mistral", sliding_window: 16 };
  assert.deepEqual(windows(told()), [undefined, undefined]);
  assert.deepEqual(windows(told(mistral)), [16, layers(0, 1, 2, 3)]);
  assert.deepEqual(
    windows(told({ ...mistral, sliding_window: null })),
    [4096, layers(0, 1, 2, 3)].map(() => undefined),
  );
  assert.deepEqual(windows(told({ model_type: "mistral" })), [
    4096,
    layers(0, 1, 2, 3),
  ]);
  const qwen = { model_type: "qwen2", sliding_window: 16 };
  assert.deepEqual(windows(told(qwen)), [undefined, undefined]);
  const on = { ...qwen, use_sliding_window: true };
  assert.deepEqual(windows(told(on)), [undefined, undefined]);
  assert.deepEqual(windows(told({ ...on, max_window_layers: 3 })), [
    16,
    layers(3),
  ]);
  assert.deepEqual(windows(told({ ...on, max_window_layers: 0 })), [
    16,
    layers(0, 1, 2, 3),
  ]);
  const types = ["full_attention", "sliding_attention"];
  assert.deepEqual(
    windows(told({ ...on, layer_types: [...types, ...types] })),
    [16, layers(1, 3)],
  );
  const gemma = {
    model_type: "gemma2",
    hidden_act: "gelu_pytorch_tanh",
    sliding_window: 8,
  };
  assert.deepEqual(windows(told(gemma)), [8, layers(0, 2)]);
  const gemma3 = { ...gemma, model_type: "gemma3_text" };
  assert.deepEqual(windows(told(gemma3)), [8, layers(0, 1, 2, 3)]);
  assert.deepEqual(
    windows(told({ ...gemma3, sliding_window_pattern: 3 })),
    [8, layers(0, 1, 3)],
  );
});

Deno.test("describe() fills in what a family's configs leave out", () => {
  const gemma3 = describe("c", {
    model_type: "gemma3",
    image_token_index: 5,
    vision_config: {},
    text_config: {
      model_type: "gemma3_text",
      hidden_size: 2560,
      intermediate_size: 10240,
      num_hidden_layers: 34,
      sliding_window: 1024,
      rope_scaling: { factor: 8.0, rope_type: "linear" },
      vocab_size: 262208,
    },
  });
  assert.equal(gemma3.tied, true);
  assert.equal(word(gemma3, "attention.head_count"), 8);
  assert.equal(word(gemma3, "attention.key_length"), 256);
  assert.equal(word(gemma3, "context_length"), 131_072);
  assert.equal(word(gemma3, "attention.scale"), 1 / 16);
  assert.equal(word(gemma3, "rope.freq_base"), 1_000_000);
  assert.equal(word(gemma3, "rope.freq_base_swa"), 10_000);
  assert.equal(word(gemma3, "rope.scaling.factor"), 8);
  const { num_key_value_heads: _, ...heads } = LLAMA;
  const mha = describe("c", heads);
  assert.equal(word(mha, "attention.head_count_kv"), 4);
  assert.equal(mha.tied, false);
});

Deno.test("describe() counts experts by either name", () => {
  const moe = { model_type: "qwen3_moe", norm_topk_prob: true };
  const count = (more: Values) =>
    word(told({ ...moe, ...more }), "expert_count");
  assert.equal(count({}), 128);
  assert.equal(count({ num_experts: 4 }), 4);
  assert.equal(count({ num_local_experts: 4 }), 4);
  assert.equal(count({ num_experts: 4, num_local_experts: 4 }), 4);
  assert.throws(
    () => count({ num_experts: 4, num_local_experts: 8 }),
    /"num_experts" is 4, wanted what "num_local_experts" is/,
  );
  assert.throws(
    () => told({ ...moe, norm_topk_prob: false }),
    /"norm_topk_prob" is false, wanted true/,
  );
  assert.throws(
    () => told({ ...moe, decoder_sparse_step: 2 }),
    /"decoder_sparse_step" is 2, wanted 1/,
  );
  assert.throws(
    () => told({ ...moe, mlp_only_layers: [0] }),
    /"mlp_only_layers" is a list of 1/,
  );
});

/** Values of factors by hand, to the fourth digit. */
const near = (got: readonly number[] | undefined, wanted: readonly number[]) =>
  assert.deepEqual(got?.map((x) => Math.round(x * 1e4) / 1e4), wanted);

Deno.test("describe() makes values of RoPE's scalings, whichever way they are written", () => {
  const rope = (rope_scaling: Values, more: Values = {}) =>
    told({ head_dim: 8, rope_scaling, ...more }).rope;
  const llama3 = {
    rope_type: "llama3",
    factor: 8,
    low_freq_factor: 1,
    high_freq_factor: 4,
    original_max_position_embeddings: 256,
  };
  // Turns in 256 positions: 40.7, 4.07, 0.407, 0.0407.
  near(rope(llama3).factors, [1, 1, 8, 8]);
  // 10.2, 1.02, 0.102, 0.0102: the second lies between.
  const short = { ...llama3, original_max_position_embeddings: 64 };
  near(rope(short).factors, [1, 7.6674, 8, 8]);
  const { rope_type: _, ...rest } = short;
  assert.deepEqual(rope({ ...rest, type: "llama3" }), rope(short));
  assert.deepEqual(
    told({ head_dim: 8, rope_parameters: { ...short, rope_theta: 1e4 } }).rope,
    rope(short),
  );
  const yarn = rope({
    type: "yarn",
    factor: 4,
    original_max_position_embeddings: 32,
  });
  assert.equal(yarn.magnitude, 1 + 0.1 * Math.log(4));
  near(yarn.factors, [1, 4, 4, 4]);
  assert.equal(
    rope({ type: "yarn", factor: 4, attention_factor: 1.5 }).magnitude,
    1.5,
  );
  const long = rope({
    type: "longrope",
    short_factor: [1, 1, 1, 2],
    long_factor: [1, 2, 3, 4],
  }, { original_max_position_embeddings: 32 });
  assert.deepEqual(long.factors, [1, 1, 1, 2]);
  assert.deepEqual(long.long, { beyond: 32, factors: [1, 2, 3, 4] });
  assert.equal(long.magnitude, Math.sqrt(1 + Math.log(4) / Math.log(32)));
  assert.deepEqual(rope({ type: "dynamic", factor: 1 }), { style: "halves" });
});

const REFUSED: readonly [string, Values, RegExp][] = [
  [
    "an unknown kind",
    { model_type: "bert" },
    /"model_type" is "bert".*wanted one of llama,/,
  ],
  ["no kind", { model_type: undefined }, /"model_type" is missing; supported/],
  [
    "a kind that is inherited",
    { model_type: "constructor" },
    /is "constructor"/,
  ],
  [
    "no layers",
    { num_hidden_layers: undefined },
    /"num_hidden_layers" is missing/,
  ],
  [
    "half a layer",
    { num_hidden_layers: 0.5 },
    /"num_hidden_layers" is 0\.5, wanted a whole/,
  ],
  [
    "too many layers",
    { num_hidden_layers: 1e6 },
    /1000000, wanted at most 1024/,
  ],
  ["an absurd width", { hidden_size: 1e300 }, /"hidden_size" is 1e\+300/],
  ["a width that is text", { hidden_size: "64" }, /"hidden_size" is "64"/],
  [
    "no epsilon",
    { rms_norm_eps: 0 },
    /"rms_norm_eps" is 0, wanted a number above 0/,
  ],
  [
    "heads that do not divide",
    { num_attention_heads: 5 },
    /"num_attention_heads" is 5, wanted a number that divides "hidden_size", which is 64/,
  ],
  [
    "another activation",
    { hidden_act: "relu" },
    /"hidden_act" is "relu", wanted "silu"/,
  ],
  [
    "quantised weights",
    { quantization_config: { quant_method: "gptq" } },
    /"quantization_config" says.*\("gptq"\)/,
  ],
  [
    "an unknown key",
    { logit_scale: 2 },
    /"logit_scale" is 2, a key that is not known here/,
  ],
  [
    "an unknown key that is false",
    { use_rope: false },
    /"use_rope" is false, a key/,
  ],
  ["biases of MLPs", { mlp_bias: true }, /"mlp_bias" is true, wanted false/],
  ["a window of a model that has none", {
    sliding_window: 5,
    layer_types: [
      "sliding_attention",
      "full_attention",
      "full_attention",
      "full_attention",
    ],
  }, /"sliding_window" is 5, wanted none/],
  [
    "attention to both sides",
    { use_bidirectional_attention: true },
    /"use_bidirectional_attention" is true/,
  ],
  [
    "experts of a model that has none",
    { model_type: "qwen2", num_experts: 4 },
    /"num_experts" is 4, wanted none/,
  ],
  [
    "layers of an unknown kind",
    { layer_types: ["a", "b", "c", "d"] },
    /"layer_types" is a list of 4, wanted "full_attention" or/,
  ],
  ["kinds for other layers", { layer_types: [] }, /for each of 4/],
  [
    "an unknown scaling",
    { rope_scaling: { type: "magic" } },
    /"rope_parameters\.type" is "magic"/,
  ],
  ["a scaling that grows with the text", {
    rope_scaling: { type: "dynamic", factor: 2 },
  }, /"rope_parameters\.type" is "dynamic"/],
  [
    "a scaling without a factor",
    { rope_scaling: { type: "linear" } },
    /"rope_parameters\.factor" is missing/,
  ],
  ["a scaling with another key", {
    rope_scaling: { type: "linear", factor: 2, beta_fast: 3 },
  }, /"rope_parameters\.beta_fast" is 3, a key/],
  ["factors for another head", {
    rope_scaling: { type: "longrope", long_factor: [1], short_factor: [1] },
  }, /short_factor" is a list of 1, wanted a list of 8 numbers/],
  ["a scaling that gives no frequencies", {
    head_dim: 4,
    original_max_position_embeddings: 1,
    rope_scaling: {
      type: "longrope",
      long_factor: [1, 1],
      short_factor: [1, 1],
    },
  }, /numbers beside it that give frequencies/],
  [
    "scaling that is text",
    { rope_scaling: "linear" },
    /"rope_scaling" is "linear", wanted an object/,
  ],
  ["rotation by kinds of layers", {
    rope_parameters: { full_attention: {}, sliding_attention: {} },
  }, /one set of parameters for all layers/],
  [
    "half a pair that turns",
    { partial_rotary_factor: 0.45 },
    /"partial_rotary_factor" is 0\.45/,
  ],
  [
    "more than the head that turns",
    { partial_rotary_factor: 2 },
    /"partial_rotary_factor" is 2/,
  ],
  [
    "a flag that is none",
    { tie_word_embeddings: 1 },
    /"tie_word_embeddings" is 1, wanted true or false/,
  ],
];

for (const [name, changes, says] of REFUSED) {
  Deno.test(`describe() refuses ${name}`, () => {
    assert.throws(() => told(changes), (error: Error) => {
      assert.ok(error instanceof ModelError, error.stack);
      assert.match(error.message, says);
      return true;
    });
  });
}
