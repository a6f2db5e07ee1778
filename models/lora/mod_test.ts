import assert from "node:assert/strict";
import { matrixValues } from "../../core/testing/random_adapters.ts";
import type { Adapter } from "../../core/adapters.ts";
import { ModelError } from "../../core/errors.ts";
import type { ModelSpec } from "../../core/model.ts";
import { modelSpec } from "../arch/mod.ts";
import { rowsOf } from "../arch/views.ts";
import { openGguf } from "../gguf.ts";
import { VALUE } from "../gguf/value_types.ts";
import { withFile } from "../testing/files.ts";
import { type Entry, writeGguf } from "../testing/gguf_writer.ts";
import {
  ggufAdapter,
  loraValues,
  peftTensors,
  writeStored,
  type WrittenModule,
  type WrittenStored,
} from "../testing/lora_writer.ts";
import { deeper, tinyLlama } from "../testing/tiny_llama.ts";
import { openAdapters } from "./mod.ts";

const HIDDEN = 32, HEAD = 16;

/** Two layers, two heads of 16, one of K and V, which turn neighbours; tied. */
async function tinySpec(): Promise<ModelSpec> {
  const { changes, shapes } = deeper(2, 64);
  return await withFile(
    tinyLlama(changes, shapes),
    async (path) => modelSpec(await openGguf(path)),
  );
}

const module = (
  name: string,
  outputs = HIDDEN,
  inputs = HIDDEN,
  rank = 3,
): WrittenModule => ({ name, inputs, outputs, rank });

const CONFIG = {
  peft_type: "LORA",
  r: 3,
  lora_alpha: 2,
  bias: "none",
  target_modules: ["q_proj"],
  task_type: null,
};

/** Writes files to a folder that is there for as long as `use` runs. */
async function withFiles<T>(
  files: Readonly<Record<string, Uint8Array | string>>,
  use: (folder: string) => Promise<T>,
): Promise<T> {
  const folder = await Deno.makeTempDir({ prefix: "quire_lora_" });
  try {
    for (const [name, content] of Object.entries(files)) {
      await Deno.mkdir(`${folder}/${name}`.replace(/\/[^/]*$/, ""), {
        recursive: true,
      });
      const bytes = typeof content === "string"
        ? new TextEncoder().encode(content)
        : content;
      await Deno.writeFile(`${folder}/${name}`, bytes);
    }
    return await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function peft(
  tensors: readonly WrittenStored[],
  config: Record<string, unknown> = {},
): Record<string, Uint8Array | string> {
  return {
    "adapter_config.json": JSON.stringify({ ...CONFIG, ...config }),
    "adapter_model.safetensors": writeStored(tensors),
  };
}

async function one(
  files: Readonly<Record<string, Uint8Array | string>>,
  spec: ModelSpec,
  file = "",
): Promise<Adapter & { readonly values: Map<string, number[][]> }> {
  return await withFiles(files, async (folder) => {
    const [adapter] = await openAdapters({ x: `${folder}/${file}` }, spec);
    const values = new Map<string, number[][]>();
    for (const { tensor, a, b } of adapter!.modules.values()) {
      const pair = [await matrixValues(a), await matrixValues(b)];
      values.set(tensor, pair.map((v) => [...v]));
    }
    return { ...adapter!, values };
  });
}

const gguf = (
  modules: readonly WrittenModule[],
  changes: Record<string, Entry | undefined> = {},
) => ({ "a.gguf": writeGguf(ggufAdapter(modules, 1, changes)) });

Deno.test("openAdapters() reads every matrix of a GGUF adapter, as it is", async () => {
  const spec = await tinySpec();
  const parts = ["q", "k", "v", "output"].map((p) => `attn_${p}`);
  const modules = [
    ...parts.map((p) =>
      module(`blk.1.${p}.weight`, /[kv]$/.test(p) ? HEAD : HIDDEN)
    ),
    ...["gate", "up", "down"].map((p) => module(`blk.0.ffn_${p}.weight`)),
    module("output.weight", 8, HIDDEN, 5),
  ];
  const adapter = await one(gguf(modules), spec, "a.gguf");
  assert.equal(adapter.modules.size, modules.length);
  for (const [i, { name, inputs, outputs, rank }] of modules.entries()) {
    const tensor = name === "output.weight" ? spec.output : name;
    const got = adapter.modules.get(tensor)!;
    assert.deepEqual([got.rank, got.factor], [rank, 2 / rank], name);
    assert.deepEqual(adapter.values.get(tensor), [
      [...loraValues(1, i, 0, rank * inputs)],
      [...loraValues(1, i, 1, outputs * rank)],
    ]);
  }
  const none = await one(gguf(modules, { alpha: undefined }), spec, "a.gguf");
  assert.equal(none.modules.get(spec.output)!.factor, 1);
});

Deno.test("openAdapters() puts rows of q and k where the model's are", async () => {
  const spec = await tinySpec();
  const modules = [
    module("model.layers.0.self_attn.q_proj"),
    module("model.layers.0.self_attn.k_proj", HEAD),
    module("model.layers.0.self_attn.v_proj", HEAD),
  ];
  const { values } = await one(peft(peftTensors(modules, 4)), spec);
  for (const [i, part] of ["q", "k", "v"].entries()) {
    const { outputs, rank } = modules[i]!;
    const want = loraValues(4, i, 1, outputs * rank);
    const got = values.get(`blk.0.attn_${part}.weight`)![1]!;
    for (let row = 0; row < outputs; row++) {
      // Pair p of a head is values 2p and 2p + 1 here, p and p + 8 there.
      const at = row % HEAD, head = row - at;
      const from = part === "v" ? row : head + (at >> 1) + (at % 2) * 8;
      assert.deepEqual(
        got.slice(row * rank, (row + 1) * rank),
        [...want.subarray(from * rank, (from + 1) * rank)],
        `${part}, row ${row}`,
      );
    }
  }
  // Trained as they are.
  const ernie = { ...spec, architecture: "ernie4_5" };
  const same = await one(peft(peftTensors(modules, 4)), ernie);
  assert.deepEqual(
    same.values.get("blk.0.attn_q.weight")![1],
    [...loraValues(4, 0, 1, HIDDEN * 3)],
  );
  // A model that keeps rows as they were trained: GGUF adapters are turned back.
  const halves: ModelSpec = {
    ...spec,
    layers: spec.layers.map((l) => ({
      ...l,
      rope: { ...l.rope, style: "halves" },
    })),
  };
  const turned = gguf([module("blk.0.attn_q.weight")]);
  const there = await one(turned, spec, "a.gguf");
  const back = (await one(turned, halves, "a.gguf"))
    .values.get("blk.0.attn_q.weight")![1]!;
  const b = there.values.get("blk.0.attn_q.weight")![1]!;
  for (let row = 0; row < HIDDEN; row++) {
    const at = row % HEAD, head = row - at;
    const from = head + (at < 8 ? 2 * at : 2 * (at - 8) + 1);
    assert.deepEqual(
      back.slice(row * 3, row * 3 + 3),
      b.slice(from * 3, from * 3 + 3),
    );
  }
});

Deno.test("openAdapters() cuts B where a model's projections are views of one matrix", async () => {
  const spec = await tinySpec(), { tensors } = spec;
  const all = new Map(tensors), shape = tensors.get("blk.0.ffn_up.weight")!;
  const fused = (name: string, ...counts: number[]): string[] => {
    const outputs = counts.reduce((a, b) => a + b);
    const whole = { ...shape, name, outputs, bytes: outputs * HIDDEN * 4 };
    let from = 0;
    return counts.map((count) => {
      const view = rowsOf(whole, from, count);
      from += count;
      all.set(view.name, view);
      return view.name;
    });
  };
  const [q, k, v] = fused("blk.0.attn_qkv.weight", HIDDEN, HEAD, HEAD);
  const [gate, up] = fused("blk.0.ffn_up.weight", HIDDEN, HIDDEN);
  const [first, ...rest] = spec.layers;
  const model: ModelSpec = {
    ...spec,
    architecture: "phi3",
    tensors: all,
    layers: [{
      ...first!,
      rope: { ...first!.rope, style: "halves" },
      tensors: { ...first!.tensors, q: q!, k: k!, v: v! },
      mlp: { ...first!.mlp!, gate: gate!, up: up! },
    }, ...rest],
  };
  const names = ["attn_qkv", "ffn_up"].map((n) => `blk.0.${n}.weight`);
  const hub = ["self_attn.qkv_proj", "mlp.gate_up_proj"];
  const modules = (names: string[]) => names.map((name) => module(name, 64));
  const architecture: Entry = ["general.architecture", VALUE.STRING, "phi3"];
  const files = gguf(modules(names), { architecture });
  const two = [
    await one(files, model, "a.gguf"),
    await one(
      peft(peftTensors(modules(hub.map((n) => `model.layers.0.${n}`)), 1)),
      model,
    ),
  ];
  for (const { values } of two) {
    for (const [i, [parts]] of [[[q, k, v]], [[gate, up]]].entries()) {
      const b = [...loraValues(1, i, 1, 64 * 3)];
      const got = parts!.map((name) => values.get(name!)!);
      assert.deepEqual(got.flatMap((pair) => pair[1]!), b);
      for (const [a] of got) {
        assert.deepEqual(a, [...loraValues(1, i, 0, 3 * HIDDEN)]);
      }
    }
  }
});

Deno.test("openAdapters() scales by rank, its root, and patterns", async () => {
  const spec = await tinySpec();
  const name = (layer: number, part: string) => `model.layers.${layer}.${part}`;
  const modules = [
    module(name(0, "self_attn.q_proj"), HIDDEN, HIDDEN, 2),
    module(name(1, "self_attn.q_proj"), HIDDEN, HIDDEN, 4),
    module(name(0, "mlp.down_proj"), HIDDEN, HIDDEN, 5),
  ];
  const factors = async (config: Record<string, unknown>) => {
    const files = peft(peftTensors(modules, 1), {
      r: 4,
      lora_alpha: 8,
      rank_pattern: {
        "layers\\.0\\.self_attn\\.q_proj": 2,
        "mlp.down_proj": 5,
      },
      ...config,
    });
    const { modules: got } = await one(files, spec);
    return [...got.values()].map((m) => m.factor).sort();
  };
  assert.deepEqual(await factors({}), [8 / 5, 8 / 4, 8 / 2]);
  assert.deepEqual(
    await factors({ use_rslora: true }),
    [8 / Math.sqrt(5), 8 / 2, 8 / Math.sqrt(2)],
  );
  const alpha_pattern = { "(gate|down)_proj": 1, "1\\..*": 2, "proj": 100 };
  assert.deepEqual(await factors({ alpha_pattern }), [1 / 5, 2 / 4, 8 / 2]);
  for (
    const source of [
      "(a+)+$",
      "(a|a)*",
      ".*.*.*.*x",
      "[a-z]",
      "a{9}",
      "(?=a)",
      "(",
      "x".repeat(201),
    ]
  ) {
    await assert.rejects(
      factors({ rank_pattern: { [source]: 2 } }),
      /has the pattern/,
      source,
    );
  }
});

Deno.test("openAdapters() gives equal ids to equal content alone, and an order by them", async () => {
  const spec = await tinySpec();
  const file = (seed: number) =>
    writeGguf(ggufAdapter([module("blk.0.attn_q.weight")], seed));
  const tensors = peftTensors([module("model.layers.0.mlp.up_proj")], 1);
  const files = {
    "a.gguf": file(1),
    "b.gguf": file(1),
    "c.gguf": file(2),
    ...peft(tensors),
    "other/adapter_config.json": JSON.stringify({ ...CONFIG, lora_alpha: 3 }),
    "other/adapter_model.safetensors": writeStored(tensors),
  };
  await withFiles(files, async (folder) => {
    const paths = {
      a: `${folder}/a.gguf`,
      b: `${folder}/b.gguf`,
      c: `${folder}/c.gguf`,
      d: folder,
      e: `${folder}/other/adapter_model.safetensors`,
    };
    const all = await openAdapters(paths, spec);
    const ids = all.map((a) => a.id);
    assert.deepEqual(ids, [...ids].sort());
    assert.equal(new Set(ids).size, 4);
    const id = (name: string) => all.find((a) => a.name === name)!.id;
    assert.equal(id("a"), id("b"));
    const turned = Object.fromEntries(Object.entries(paths).reverse());
    assert.deepEqual(
      (await openAdapters(turned, spec)).map((a) => a.id),
      ids,
    );
  });
});

Deno.test("openAdapters() refuses what is no adapter of the model, by name", async () => {
  const spec = await tinySpec();
  const q = module("blk.0.attn_q.weight");
  const bad = async (
    files: Record<string, Uint8Array | string>,
    why: RegExp,
    file = "",
  ) =>
    await assert.rejects(one(files, spec, file), (error: Error) => {
      assert.ok(error instanceof ModelError, String(error));
      assert.match(error.message, why);
      return true;
    });
  const badGguf = (
    modules: readonly WrittenModule[],
    why: RegExp,
    changes: Record<string, Entry | undefined> = {},
  ) => bad(gguf(modules, changes), why, "a.gguf");
  const text = (key: string, value: string): Entry => [
    key,
    VALUE.STRING,
    value,
  ];
  await badGguf([q], /"general.type" is missing/, { type: undefined });
  await badGguf([q], /"adapter.type" is "control"/, {
    kind: text("adapter.type", "control"),
  });
  await badGguf([q], /architecture "gemma3", the model is "llama"/, {
    architecture: text("general.architecture", "gemma3"),
  });
  await badGguf([q], /"adapter.lora.alpha" is "2"/, {
    alpha: text("adapter.lora.alpha", "2"),
  });
  await badGguf([q], /alora.invocation_tokens" is given/, {
    more: ["adapter.alora.invocation_tokens", VALUE.ARRAY, VALUE.U32, [1]],
  });
  await badGguf([], /it adapts nothing/);
  await badGguf(
    [module("blk.0.attn_norm.weight", 1)],
    /cannot take an adapter/,
  );
  await badGguf([module("token_embd.weight", 8)], /cannot take an adapter/);
  await badGguf([module("blk.0.ffn_gate_exps.weight")], /cannot take an/);
  await badGguf([module("blk.2.attn_q.weight")], /model has layers 0 to 1/);
  await badGguf([module("blk.0.attn_q.weight", 40)], /gives 40 outputs.*32/);
  await badGguf([module("blk.0.attn_q.weight", 32, 40)], /takes 40 inputs/);
  const written = ggufAdapter([q], 1), [a, b] = written.tensors!;
  const tensors = (...list: unknown[]) => ({
    "a.gguf": writeGguf({ ...written, tensors: list as never }),
  });
  await bad(tensors(a), /has no "lora_b"/, "a.gguf");
  await bad(
    tensors(a, { ...b, dims: [2, 48] }),
    /an A of rank 3 and a B of rank 2/,
    "a.gguf",
  );
  await bad(
    tensors(a, b, { ...a, name: "blk.0.attn_norm.weight" }),
    /"blk.0.attn_norm.weight" is no "….lora_a"/,
    "a.gguf",
  );
  const infinite = new Float32Array(96).fill(1);
  infinite[95] = Infinity;
  await bad(
    tensors({ ...a, bytes: new Uint8Array(infinite.buffer) }, b),
    /"blk.0.attn_q.weight.lora_a" has values that are no finite numbers/,
    "a.gguf",
  );

  const hub = module("model.layers.0.self_attn.q_proj");
  const good = peftTensors([hub], 1);
  for (
    const [config, why] of [
      [{ peft_type: "IA3" }, /"peft_type" is "IA3", wanted "LORA"/],
      [{ bias: "all" }, /"bias" is "all"/],
      [{ use_dora: true }, /"use_dora" is true/],
      [{ lora_bias: true }, /"lora_bias" is true/],
      [{ fan_in_fan_out: true }, /"fan_in_fan_out" is true/],
      [{ modules_to_save: ["lm_head"] }, /"modules_to_save" is a list of 1/],
      [{ something_new: { x: 1 } }, /"something_new" is an object/],
      [{ init_lora_weights: "pissa" }, /"init_lora_weights" is "pissa"/],
      [{ r: 0 }, /"r" is 0/],
      [{ r: 4 }, /has rank 3, its adapter_config.json says 4/],
      [{ lora_alpha: "8" }, /"lora_alpha" is "8"/],
      [{ use_rslora: 1 }, /"use_rslora" is 1/],
      [{ rank_pattern: [1] }, /"rank_pattern" is a list/],
      [{ rank_pattern: { q_proj: 2.5 } }, /is 2.5, wanted a whole number/],
      [{ alpha_pattern: { q_proj: "x" } }, /"alpha_pattern" of "q_proj"/],
    ] as const
  ) await bad(peft(good, config), why);
  const broken = (
    change: Partial<WrittenStored>,
    why: RegExp,
    at: 0 | 1 = 0,
  ) => bad(peft(good.map((t, i) => i === at ? { ...t, ...change } : t)), why);
  const stem = "base_model.model.model.layers.0.self_attn.q_proj";
  await broken({ name: `${stem}.lora_magnitude_vector` }, /is no "base_model/);
  await broken({ name: `${stem}.lora_A.default.weight` }, /is no "base_model/);
  await broken(
    { dtype: "I32" },
    /is I32 of the shape 3 × 32, wanted a matrix of F32/,
  );
  await broken({ shape: [96] }, /of the shape 96, wanted a matrix/);
  await broken({ shape: [96, 1] }, /has rank 96/);
  await bad(peft(good.slice(1)), /has no "lora_A"/);
  await bad(peft([]), /it adapts nothing/);
  for (
    const name of [
      "model.embed_tokens",
      "model.layers.0.input_layernorm",
      "model.layers.0.block_sparse_moe.experts.1.w1",
      "transformer.h.0.attn.c_attn",
    ]
  ) {
    await bad(peft(peftTensors([module(name)], 1)), /cannot take an adapter/);
  }
  await bad({ "adapter_config.json": "{}" }, /no "adapter_model.safetensors"/);
  await bad(
    { "a.safetensors": writeStored(good) },
    /there is no such file/,
    "a.safetensors",
  );
  await bad({ "a.bin": "x" }, /it is a pickle/, "a.bin");
  await bad({ "a.gguf": "x" }, /a\.gguf/, "a.gguf");
  await bad({}, /there is no such adapter/, "nothing");
  await bad(peft(good, {}), /no such adapter/, "x.gguf");
  const half = peft(good)["adapter_model.safetensors"] as Uint8Array;
  await bad(
    { ...peft(good), "adapter_model.safetensors": half.subarray(0, 300) },
    /cut short|broken/,
  );
});

Deno.test("openAdapters() refuses a model's experts and names that are none", async () => {
  const spec = await tinySpec();
  const experts: ModelSpec = {
    ...spec,
    layers: spec.layers.map((l) => {
      const { mlp, ...rest } = l;
      const each = [mlp!];
      const router = spec.output;
      return { ...rest, experts: { router, used: 1, normalised: true, each } };
    }),
  };
  await assert.rejects(
    one(gguf([module("blk.0.ffn_up.weight")]), experts, "a.gguf"),
    /"blk.0.ffn_up.weight" is of a layer with experts/,
  );
  for (const name of ["", "a\nb", 'a"', "x".repeat(101)]) {
    await assert.rejects(openAdapters({ [name]: "x" }, spec), RangeError);
  }
});

Deno.test("an adapter that changes after it was opened is refused when it is read", async () => {
  const spec = await tinySpec();
  await withFiles(gguf([module("blk.0.attn_q.weight")]), async (folder) => {
    const path = `${folder}/a.gguf`;
    const [adapter] = await openAdapters({ a: path }, spec);
    const { a } = adapter!.modules.get("blk.0.attn_q.weight")!;
    await a.read();
    const bytes = await Deno.readFile(path);
    await Deno.writeFile(path, bytes.subarray(0, bytes.length - 1));
    await assert.rejects(async () => await a.read(), /changed while it was/);
    await Deno.writeFile(path, bytes);
    await Deno.utime(path, 1, 1);
    await assert.rejects(async () => await a.read(), /changed while it was/);
  });
});
