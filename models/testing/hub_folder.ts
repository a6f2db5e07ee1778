/**
 * A GGUF model written as a folder of safetensors: its twin.
 *
 * @module
 */
import { join } from "node:path";
import type { TensorInfo } from "../../core/model.ts";
import type { ModelFile } from "../model_file.ts";
import { readTensor } from "../weights.ts";
import { type ConfigStyle, hubConfig } from "./hub_config.ts";
import { HUB_FAMILIES, type HubFamily, hubName } from "./hub_names.ts";
import { hubTokenizer } from "./hub_tokenizer.ts";
import {
  encode,
  type FloatType,
  type StoredValues,
  writeSafetensors,
} from "./safetensors_writer.ts";

/** How the folder is written. */
export interface HubStyle extends ConfigStyle {
  readonly dtype?: FloatType;
  /** Files that the weights are spread over; default 1. */
  readonly shards?: number;
  /** Experts of a layer in one tensor. */
  readonly fused?: boolean;
}

/** The family that a tiny model would be published as. */
export function hubFamily({ metadata }: ModelFile): HubFamily {
  const arch = String(metadata["general.architecture"]);
  const name = arch !== "llama"
    ? arch
    : metadata["llama.expert_count"] !== undefined
    ? "mixtral"
    : metadata["llama.attention.sliding_window"] !== undefined
    ? "mistral"
    : "llama";
  return HUB_FAMILIES[name]!;
}

/** Writes the model into a folder that is there. */
export async function writeHubFolder(
  file: ModelFile,
  folder: string,
  style: HubStyle = {},
): Promise<void> {
  const family = hubFamily(file);
  const json = (name: string, value: unknown) =>
    Deno.writeTextFile(join(folder, name), JSON.stringify(value, null, 2));
  await json("config.json", hubConfig(file, family, style));
  for (const [name, value] of Object.entries(hubTokenizer(file))) {
    await json(name, value);
  }
  const tensors = await storedTensors(file, family, style);
  const { shards = 1 } = style;
  if (shards === 1) {
    const bytes = writeSafetensors(tensors);
    return await Deno.writeFile(join(folder, "model.safetensors"), bytes);
  }
  const map: Record<string, string> = {};
  for (let i = 0; i < shards; i++) {
    const number = (n: number) => String(n).padStart(5, "0");
    const name = `model-${number(i + 1)}-of-${number(shards)}.safetensors`;
    const part = tensors.filter((_, k) => k % shards === i);
    for (const { name: tensor } of part) map[tensor] = name;
    await Deno.writeFile(join(folder, name), writeSafetensors(part));
  }
  await json("model.safetensors.index.json", {
    metadata: { total_size: tensors.reduce((n, t) => n + t.bytes.length, 0) },
    weight_map: map,
  });
}

/** Every tensor as it would be published, rounded to the type. */
export async function storedTensors(
  file: ModelFile,
  family: HubFamily,
  { dtype = "F32", fused = false }: HubStyle,
): Promise<StoredValues[]> {
  const out: StoredValues[] = [];
  for (const [name, info] of file.tensors) {
    const values = await readTensor(file, name);
    const put = (name: string, shape: readonly number[], part: Float32Array) =>
      out.push({ name, dtype, shape, bytes: encode(dtype, part) });
    if (info.stack > 1) {
      for (const [stored, shape, part] of experts(name, info, values, family)) {
        put(stored, shape, part);
      }
      continue;
    }
    const stored = hubName(name, family);
    if (stored === undefined) continue;
    const shape = info.outputs === 1
      ? [info.inputs]
      : [info.outputs, info.inputs];
    put(stored, shape, asTrained(file, name, info, values, family));
  }
  return fused ? fuseExperts(out) : out;
}

/** Values as they were before GGUF's own changes to them. */
function asTrained(
  { metadata }: ModelFile,
  name: string,
  { inputs, outputs }: TensorInfo,
  values: Float32Array,
  { lessOne = false, reordered = false }: HubFamily,
): Float32Array {
  if (lessOne && /norm\.weight$/.test(name)) return values.map((x) => x - 1);
  const [, part] = /attn_([qk])\.weight$/.exec(name) ?? [];
  if (!reordered || part === undefined) return values;
  const count = part === "q" ? "head_count" : "head_count_kv";
  const head = outputs / Number(metadata[`llama.attention.${count}`]);
  const out = new Float32Array(values.length);
  for (let row = 0; row < outputs; row++) {
    // Row 2 j + s of a head came from its half s.
    const at = row % head, from = row - at;
    const to = from + (at % 2) * head / 2 + Math.floor(at / 2);
    out.set(values.subarray(row * inputs, (row + 1) * inputs), to * inputs);
  }
  return out;
}

function experts(
  name: string,
  { inputs, outputs, stack }: TensorInfo,
  values: Float32Array,
  { experts: [module, names] = ["mlp", {}] }: HubFamily,
): [string, number[], Float32Array][] {
  const [, layer, part] = /^blk\.(\d+)\.ffn_(\w+)_exps/.exec(name)!;
  const size = inputs * outputs;
  return Array.from({ length: stack }, (_, i) => [
    `model.layers.${layer}.${module}.experts.${i}.${
      names[part!] ?? `${part}_proj`
    }.weight`,
    [outputs, inputs],
    values.subarray(i * size, (i + 1) * size),
  ]);
}

const FUSED = [["gate_up_proj", ["w1", "w3"]], ["down_proj", ["w2"]]] as const;

/** Experts as transformers 5 keeps them: gate above up, all of a layer in one. */
function fuseExperts(tensors: readonly StoredValues[]): StoredValues[] {
  const form =
    /^(model\.layers\.\d+)\.(?:mlp|block_sparse_moe)\.experts\.(\d+)\.(\w+)\.weight$/;
  const rest = tensors.filter((t) => !form.test(t.name));
  const found = new Map<string, StoredValues>();
  for (const tensor of tensors) {
    const [, layer, expert, part] = form.exec(tensor.name) ?? [];
    if (part !== undefined) found.set(`${layer} ${expert} ${part}`, tensor);
  }
  const layers = new Set([...found.keys()].map((key) => key.split(" ")[0]!));
  for (const layer of layers) {
    for (const [to, parts] of FUSED) {
      const all: StoredValues[] = [];
      for (let i = 0; found.has(`${layer} ${i} w1`); i++) {
        all.push(...parts.map((part) => found.get(`${layer} ${i} ${part}`)!));
      }
      const [rows, inputs] = all[0]!.shape as [number, number];
      rest.push({
        name: `${layer}.mlp.experts.${to}`,
        dtype: all[0]!.dtype,
        shape: [all.length / parts.length, rows * parts.length, inputs],
        bytes: new Uint8Array(all.flatMap((t) => [...t.bytes])),
      });
    }
  }
  return rest;
}
