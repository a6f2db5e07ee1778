/**
 * Low-rank adapters: GGUF files, and folders as PEFT saves them.
 *
 * @module
 */
import { join } from "node:path";
import type { Adapter } from "../../core/adapters.ts";
import { ModelError } from "../../core/errors.ts";
import type { ModelSpec } from "../../core/model.ts";
import { modelSpec } from "../../models/arch/mod.ts";
import { openGguf } from "../../models/gguf.ts";
import { openAdapters } from "../../models/lora/mod.ts";
import { writeGguf } from "../../models/testing/gguf_writer.ts";
import {
  ggufAdapter,
  peftTensors,
  writeStored,
  type WrittenModule,
} from "../../models/testing/lora_writer.ts";
import { deeper, tinyLlama } from "../../models/testing/tiny_llama.ts";
import { bendFolder } from "./bend_folder.ts";
import { mutateGguf } from "./gguf.ts";
import { openSample } from "./memory_file.ts";
import { checkMessage, claim, type Sample, type Target } from "./target.ts";
import { sampleFolder } from "./temp_folder.ts";

const GGUF = "adapter.gguf", HIDDEN = 32;

let spec: Promise<ModelSpec> | undefined;

/** The model that they are for. */
function model(): Promise<ModelSpec> {
  const make = async (): Promise<ModelSpec> => {
    const { changes, shapes } = deeper(2, 64);
    const bytes = writeGguf(tinyLlama(changes, shapes));
    const open = openSample(new Map([["model.gguf", bytes]]));
    return modelSpec(await openGguf("model.gguf", { open }));
  };
  return spec ??= make();
}

function module(name: string, outputs = HIDDEN): WrittenModule {
  return { name, inputs: HIDDEN, outputs, rank: 3 };
}

function seeds(): readonly Sample[] {
  const gguf = ggufAdapter([
    module("blk.0.attn_q.weight"),
    module("blk.1.attn_k.weight", 16),
    module("blk.1.ffn_up.weight"),
  ], 1);
  const peft = peftTensors([
    module("model.layers.0.self_attn.q_proj"),
    module("model.layers.1.self_attn.v_proj", 16),
    module("model.layers.1.mlp.down_proj"),
  ], 2);
  const config = {
    peft_type: "LORA",
    r: 3,
    lora_alpha: 2,
    bias: "none",
    target_modules: ["q_proj", "v_proj", "down_proj"],
    rank_pattern: { "down_proj": 3 },
    alpha_pattern: { "^model.layers.\\d+.self_attn.q_proj": 8 },
    use_rslora: false,
  };
  return [
    new Map([[GGUF, writeGguf(gguf)]]),
    new Map([
      ["adapter_config.json", new TextEncoder().encode(JSON.stringify(config))],
      ["adapter_model.safetensors", new Uint8Array(writeStored(peft))],
    ]),
  ];
}

async function check(adapter: Adapter, spec: ModelSpec): Promise<void> {
  claim(/^[0-9a-f]{64}$/.test(adapter.id), "no fingerprint");
  claim(adapter.modules.size > 0, "nothing is adapted");
  for (const [name, { tensor, rank, factor, a, b }] of adapter.modules) {
    const of = spec.tensors.get(tensor);
    claim(name === tensor && of !== undefined, `${tensor} is not there`);
    claim(Number.isFinite(factor), `a factor of ${factor}`);
    claim(a.rows === rank && b.columns === rank, `rank ${rank}`);
    claim(
      a.columns === of.inputs && b.rows === of.outputs,
      `the shape of ${tensor}`,
    );
    for (const matrix of [a, b]) {
      const size = matrix.type === "F32" ? 4 : 2;
      try {
        const bytes = await matrix.read();
        claim(
          bytes.length === matrix.rows * matrix.columns * size,
          "other bytes",
        );
      } catch (error) {
        // Values that are no numbers are found when they are read.
        if (!(error instanceof ModelError)) throw error;
        checkMessage(error.message);
      }
    }
  }
}

/** Adapters for a tiny model. */
export const adapters: Target = {
  name: "adapters",
  weight: 2,
  seeds: () => Promise.resolve(seeds()),
  mutate: (all, random) =>
    random.once(2)
      ? mutateGguf(all.filter((s) => s.has(GGUF)), random)
      : bendFolder(all.filter((s) => !s.has(GGUF)), random, /./),
  async read(sample) {
    const folder = sampleFolder(sample), spec = await model();
    const path = sample.has(GGUF) ? join(folder, GGUF) : folder;
    let found: readonly Adapter[];
    try {
      found = await openAdapters({ x: path }, spec);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      claim(error.file.startsWith(folder), `an error of ${error.file}`);
      return checkMessage(error.message);
    }
    claim(found.length === 1, `${found.length} adapters`);
    await check(found[0]!, spec);
    return undefined;
  },
};
