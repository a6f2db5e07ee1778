/**
 * Adapters in GGUF files, as llama.cpp's converter writes them.
 *
 * ```text
 *  general.type "adapter", adapter.type "lora", adapter.lora.alpha
 *  blk.3.attn_q.weight.lora_a      inputs × rank
 *  blk.3.attn_q.weight.lora_b      rank × outputs
 * ```
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { ModelSpec } from "../../core/model.ts";
import { show } from "../arch/metadata.ts";
import type { GgufFile } from "../gguf.ts";
import { quote } from "../gguf/walk.ts";
import type { Pair, Part, Target } from "./fit.ts";
import type { AdapterFile, StoredMatrix } from "./stored.ts";

const PARTS: Readonly<Record<string, readonly Part[]>> = {
  attn_q: ["q"],
  attn_k: ["k"],
  attn_v: ["v"],
  attn_qkv: ["q", "k", "v"],
  attn_output: ["attnOut"],
  ffn_gate: ["gate"],
  ffn_up: ["up"],
  ffn_down: ["down"],
};

/** The matrices that can take an adapter, for messages. */
const KNOWN = `${Object.keys(PARTS).join(", ")} of a layer, or output`;

/** The pairs of a file. Throws a ModelError for what is no adapter of this model. */
export function ggufPairs(
  { path, metadata, tensors }: GgufFile,
  file: AdapterFile,
  spec: ModelSpec,
): readonly Pair[] {
  const fail = (problem: string): never => {
    throw new ModelError(path, problem);
  };
  const want = (key: string, wanted: string): void => {
    if (metadata[key] === wanted) return;
    const is = metadata[key] === undefined ? "missing" : show(metadata[key]);
    fail(`"${key}" is ${is}, wanted ${show(wanted)}: is it an adapter?`);
  };
  want("general.type", "adapter");
  want("adapter.type", "lora");
  const architecture = metadata["general.architecture"];
  if (architecture !== spec.architecture) {
    fail(
      `it is for the architecture ${show(architecture)}, the model is ` +
        `${show(spec.architecture)}`,
    );
  }
  const invoked = "adapter.alora.invocation_tokens";
  if (metadata[invoked] !== undefined) {
    fail(
      `"${invoked}" is given: adapters that begin in the middle of a text ` +
        `are not supported`,
    );
  }
  const alpha = metadata["adapter.lora.alpha"] ?? 0;
  if (typeof alpha !== "number" || !Number.isFinite(alpha)) {
    return fail(
      `"adapter.lora.alpha" is ${show(alpha)}, a finite number is wanted`,
    );
  }
  const halves = new Map<string, { a?: StoredMatrix; b?: StoredMatrix }>();
  for (const [name, info] of tensors) {
    const [, of, which] = /^(.+)\.lora_([ab])$/.exec(name) ?? [];
    if (of === undefined) {
      return fail(
        `tensor ${quote(name)} is no "….lora_a" or "….lora_b": an adapter ` +
          `that changes more than matrices is not supported`,
      );
    }
    if (info.stack !== 1) {
      fail(
        `tensor ${quote(name)} has ${info.stack} matrices: experts take no ` +
          `adapters here`,
      );
    }
    const { type, inputs, outputs, offset, bytes } = info;
    const half = halves.get(of) ?? {};
    half[which as "a" | "b"] = {
      ...{ file, name, type, offset, bytes },
      rows: outputs,
      columns: inputs,
    };
    halves.set(of, half);
  }
  return [...halves].map(([name, { a, b }]) => {
    if (a === undefined || b === undefined) {
      return fail(
        `${quote(name)} has no "lora_${
          a === undefined ? "a" : "b"
        }", wanted both`,
      );
    }
    const target = targetOf(name, spec) ??
      fail(`${quote(name)} cannot take an adapter here; ${KNOWN} can`);
    // Without alpha the product is added as it is.
    return { target, a, b, factor: alpha === 0 ? 1 : alpha / a.rows };
  });
}

function targetOf(name: string, spec: ModelSpec): Target | undefined {
  if (name === "output.weight") return { name, layer: undefined, parts: [] };
  const [, index, part = ""] = /^blk\.(\d+)\.(\w+)\.weight$/.exec(name) ?? [];
  if (index === undefined || !Object.hasOwn(PARTS, part)) return undefined;
  const layer = Number(index);
  // Fused: gate and up are views of it.
  const fused = part === "ffn_up" &&
    spec.layers[layer]?.mlp?.up.startsWith(`${name}[`);
  return { name, layer, parts: fused ? ["gate", "up"] : PARTS[part]! };
}
