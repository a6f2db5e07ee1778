import assert from "node:assert/strict";
import { basename } from "node:path";
import { ModelError } from "../core/errors.ts";
import { modelSpec } from "./arch/mod.ts";
import { openModel } from "./open_model.ts";
import {
  encode,
  type StoredValues,
  withHeader,
  writeSafetensors,
} from "./testing/safetensors_writer.ts";
import { type HubJson, type HubModel, hubModel } from "./testing/hub_model.ts";
import { createTokenizer } from "./tokenizer.ts";
import { readTensor } from "./weights.ts";

const INDEX = "model.safetensors.index.json";
const SHARDS = [1, 2, 3].map((i) => `model-0000${i}-of-00003.safetensors`);

Deno.test("openModel() reads a folder in GGUF's words", async () => {
  await using model = await hubModel();
  const file = await openModel(model.path);
  assert.equal(file.path, model.path);
  assert.equal(file.format, "safetensors");
  assert.deepEqual(file.files.map((f) => f.path), [
    model.at("model.safetensors"),
  ]);
  assert.equal(file.metadata["general.architecture"], "llama");
  assert.equal(file.metadata["general.name"], basename(model.path));
  assert.equal(file.metadata["llama.block_count"], 1);
  assert.equal(file.metadata["llama.rope.freq_base"], 10_000);
  assert.deepEqual(file.rope, { style: "halves" });
  const spec = modelSpec(file), [layer] = spec.layers;
  assert.equal(layer!.rope.style, "halves");
  assert.equal(layer!.headDim, 16);
  assert.equal(spec.output, spec.embedding);
  const embedding = await readTensor(file, spec.embedding);
  assert.equal(embedding[5], Math.fround(Math.sin(5)));
  const tokenizer = createTokenizer(file);
  assert.equal(tokenizer.decode(tokenizer.encode("Größe")), "Größe");
  assert.match(tokenizer.chatTemplate!, /for m in messages/);
});

Deno.test("openModel() takes a folder by its files too", async () => {
  await using model = await hubModel({ shards: 3 });
  const wanted = await openModel(model.path);
  const names = ["", "config.json", SHARDS[1]!];
  for (const path of [...names.map(model.at), `${model.path}/`]) {
    const file = await openModel(path);
    assert.equal(file.path, path);
    assert.equal(file.fingerprint, wanted.fingerprint);
    assert.deepEqual(
      file.files.map((f) => basename(f.path)),
      SHARDS,
    );
  }
});

Deno.test("openModel() takes the only file of weights, or the one that is named", async () => {
  await using model = await hubModel();
  await Deno.rename(model.at("model.safetensors"), model.at("a.safetensors"));
  const only = await openModel(model.path);
  assert.equal(only.files[0]!.path, model.at("a.safetensors"));
  await Deno.copyFile(model.at("a.safetensors"), model.at("b.safetensors"));
  await assert.rejects(
    openModel(model.path),
    /there are 2 files of weights and no "model\.safetensors\.index\.json"/,
  );
  const named = await openModel(model.at("b.safetensors"));
  assert.equal(named.files[0]!.path, model.at("b.safetensors"));
});

Deno.test("a fingerprint tells one changed tensor, and one changed setting", async () => {
  await using model = await hubModel();
  const before = await openModel(model.path);
  assert.equal((await openModel(model.path)).fingerprint, before.fingerprint);
  await model.edit("config.json", (c) => c.rms_norm_eps = 2e-5);
  const other = await openModel(model.path);
  assert.notEqual(other.fingerprint, before.fingerprint);
  const { offset, bytes } = before.tensors.get("blk.0.ffn_up.weight")!;
  const weights = await Deno.readFile(model.at("model.safetensors"));
  weights[offset + bytes / 2]! ^= 1;
  await Deno.writeFile(model.at("model.safetensors"), weights);
  const trained = await openModel(model.path);
  assert.notEqual(trained.fingerprint, other.fingerprint);
});

Deno.test("openModel() leaves tensors alone that carry nothing", async () => {
  await using model = await hubModel();
  await addTensor(model, {
    name: "model.layers.0.self_attn.rotary_emb.inv_freq",
    dtype: "F64",
    shape: [8],
    bytes: new Uint8Array(64),
  });
  // Tied: whatever the output was, it is the embedding now.
  await addTensor(model, {
    name: "lm_head.weight",
    dtype: "F32",
    shape: [258, 32],
    bytes: encode("F32", new Float32Array(258 * 32)),
  });
  const spec = modelSpec(await openModel(model.path));
  assert.equal(spec.output, spec.embedding);
});

/** The stored tensors of a folder in one file, with one more. */
async function addTensor(
  model: HubModel,
  tensor: StoredValues,
): Promise<void> {
  const path = model.at("model.safetensors");
  const tensors = await storedIn(path);
  await Deno.writeFile(path, writeSafetensors([...tensors, tensor]));
}

async function storedIn(path: string): Promise<StoredValues[]> {
  const file = await Deno.readFile(path);
  const length = Number(new DataView(file.buffer).getBigUint64(0, true));
  const text = new TextDecoder().decode(file.subarray(8, 8 + length));
  const { __metadata__: _, ...header } = JSON.parse(text) as Record<
    string,
    { dtype: string; shape: number[]; data_offsets: [number, number] }
  >;
  return Object.entries(header).map(([name, t]) => ({
    name,
    dtype: t.dtype,
    shape: t.shape,
    bytes: file.subarray(
      8 + length + t.data_offsets[0],
      8 + length + t.data_offsets[1],
    ),
  }));
}

/** Changes one stored tensor. */
function tensor(
  name: string,
  change: (t: StoredValues) => Partial<StoredValues> | undefined,
): (model: HubModel) => Promise<void> {
  return async (model) => {
    const path = model.at("model.safetensors");
    const tensors = (await storedIn(path)).flatMap((t) => {
      const changed = t.name === name ? change(t) : {};
      return changed === undefined ? [] : [{ ...t, ...changed }];
    });
    await Deno.writeFile(path, writeSafetensors(tensors));
  };
}

const config = (change: (json: HubJson) => unknown) => (model: HubModel) =>
  model.edit("config.json", change);

const index = (change: (json: HubJson) => unknown) => (model: HubModel) =>
  model.edit(INDEX, change);

const Q = "model.layers.0.self_attn.q_proj.weight";

/** What is done to a folder, in how many files its weights are, what is said of it. */
const REFUSED: Readonly<
  Record<string, readonly [(model: HubModel) => unknown, RegExp, number?]>
> = {
  "no config.json": [
    (m) => Deno.remove(m.at("config.json")),
    /there is no "config\.json" in the folder/,
  ],
  "a config.json that is none": [
    (m) => Deno.writeTextFile(m.at("config.json"), "<html>"),
    /config\.json": it is not JSON/,
  ],
  "a config.json that is a folder": [
    async (m) => {
      await Deno.remove(m.at("config.json"));
      await Deno.mkdir(m.at("config.json"));
    },
    /it is no file/,
  ],
  "a key twice in config.json": [
    (m) =>
      Deno.writeTextFile(
        m.at("config.json"),
        '{"model_type":"llama","model_type":"qwen2"}',
      ),
    /has the key "model_type" twice/,
  ],
  "no weights": [
    (m) => Deno.remove(m.at("model.safetensors")),
    /there are no weights in the folder, wanted "model\.safetensors" or/,
  ],
  "weights cut short": [
    (m) => Deno.truncate(m.at("model.safetensors"), 4000),
    /its tensors end at byte \d+, the file at 4000: it is cut short/,
  ],
  "weights that are a folder": [
    async (m) => {
      await Deno.remove(m.at("model.safetensors"));
      await Deno.mkdir(m.at("model.safetensors"));
    },
    /it is no file, wanted a safetensors file/,
  ],
  "a missing shard": [
    (m) => Deno.remove(m.at(SHARDS[1]!)),
    /model-00002-of-00003\.safetensors": there is no such file/,
    3,
  ],
  "a shard that leaves the folder": [
    index((i) => i.weight_map[Q] = "../model.safetensors"),
    /q_proj\.weight" is in the file "\.\.\/model\.safetensors", wanted a name/,
    3,
  ],
  "a shard elsewhere": [
    index((i) => i.weight_map[Q] = "/etc/a.safetensors"),
    /is in the file "\/etc\/a\.safetensors"/,
    3,
  ],
  "a shard with a name that no system takes": [
    index((i) => i.weight_map[Q] = `${"a".repeat(300)}.safetensors`),
    /is in the file "a{80}…", wanted a name/,
    3,
  ],
  "a shard that a terminal acts on": [
    index((i) => i.weight_map[Q] = "\x9b2J.safetensors"),
    /is in the file "\\u009b2J\.safetensors", wanted a name/,
    3,
  ],
  "a shard of another kind": [
    index((i) => i.weight_map[Q] = "pytorch_model.bin"),
    /is in the file "pytorch_model\.bin"/,
    3,
  ],
  "a shard that is no text": [
    index((i) => i.weight_map[Q] = 3),
    /is in the file 3/,
    3,
  ],
  "a tensor that is in another shard": [
    index((i) => {
      const map = i.weight_map;
      map[Q] = SHARDS.find((name) => name !== map[Q]);
    }),
    /q_proj\.weight" is in "model-0000\d-of-00003\.safetensors", the index says/,
    3,
  ],
  "a tensor that is in no shard": [
    index((i) => i.weight_map["x"] = SHARDS[0]),
    /tensor "x" is not in it, the index says/,
    3,
  ],
  "a tensor in two shards": [
    async (m) => {
      const [first, second] = SHARDS.map(m.at) as [string, string];
      const more = (await storedIn(first))[0]!;
      const tensors = [...await storedIn(second), more];
      await Deno.writeFile(second, writeSafetensors(tensors));
    },
    /is in "model-00001-of-00003\.safetensors" as well, wanted it once/,
    3,
  ],
  "an index of nothing": [
    index(() => ({ weight_map: {} })),
    /"weight_map" is empty/,
    3,
  ],
  "an index without a map": [
    index(() => ({ weights: {} })),
    /"weight_map" is undefined, wanted an object/,
    3,
  ],
  "a header that lies": [
    (m) => Deno.writeFile(m.at("model.safetensors"), withHeader('{"a":1}')),
    /tensor "a" is 1/,
  ],
  "an unknown tensor": [
    (m) =>
      addTensor(m, {
        name: "model.layers.0.mlp.extra.weight",
        dtype: "F32",
        shape: [1],
        bytes: new Uint8Array(4),
      }),
    /"model\.layers\.0\.mlp\.extra\.weight" is not part of the architecture/,
  ],
  "a layer too many": [
    (m) =>
      addTensor(m, {
        name: "model.layers.1.input_layernorm.weight",
        dtype: "F32",
        shape: [32],
        bytes: new Uint8Array(128),
      }),
    /tensor "blk\.1\.attn_norm\.weight" is not part/,
  ],
  "a part under two names": [
    (m) =>
      addTensor(m, {
        name: "model.layers.00.input_layernorm.weight",
        dtype: "F32",
        shape: [32],
        bytes: new Uint8Array(128),
      }),
    /are the same part of the model/,
  ],
  "a missing tensor": [
    tensor(Q, () => undefined),
    /tensor "blk\.0\.attn_q\.weight" is missing, wanted 32 × 32/,
  ],
  "a tensor of another shape": [
    tensor(Q, () => ({ shape: [16, 64] })),
    /tensor "blk\.0\.attn_q\.weight" is 64 × 16, wanted 32 × 32/,
  ],
  "a tensor of three dimensions": [
    tensor(Q, () => ({ shape: [1, 32, 32] })),
    /q_proj\.weight" has the shape 1 × 32 × 32, wanted 1 to 2 dimensions/,
  ],
  "a tensor of nothing": [
    tensor(Q, () => ({ shape: [0, 32], bytes: new Uint8Array(0) })),
    /q_proj\.weight" has the shape 0 × 32/,
  ],
  "weights of 8 bits": [
    tensor(Q, (t) => ({ dtype: "F8_E4M3", bytes: t.bytes.subarray(0, 1024) })),
    /has the dtype F8_E4M3, wanted F32, F16 or BF16/,
  ],
  "biases that the config does not know of": [
    (m) =>
      addTensor(m, {
        name: "model.layers.0.self_attn.q_proj.bias",
        dtype: "F32",
        shape: [32],
        bytes: new Uint8Array(128),
      }),
    /"attention_bias" in config\.json is false, but there are biases/,
  ],
  "an embedding of another size": [
    config((c) => c.vocab_size = 300),
    /"vocab_size" in config\.json is 300, the embedding has 258 rows/,
  ],
  "biases that are not there": [
    config((c) => c.attention_bias = true),
    /"attention_bias" in config\.json is true, but there are none/,
  ],
  "an output that is not there": [
    config((c) => c.tie_word_embeddings = false),
    /tensor "lm_head\.weight" is missing/,
  ],
};

for (const [name, [change, says, shards = 1]] of Object.entries(REFUSED)) {
  Deno.test(`openModel() refuses a folder with ${name}`, async () => {
    await using model = await hubModel({ shards });
    await change(model);
    await assert.rejects(
      async () => modelSpec(await openModel(model.path)),
      (error: Error) => {
        assert.ok(error instanceof ModelError, error.stack);
        assert.ok(error.file.startsWith(model.path), error.file);
        assert.match(error.message, says);
        return true;
      },
    );
  });
}
