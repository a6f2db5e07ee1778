/**
 * Adapters as files with random values, right or wrong on purpose.
 *
 * @module
 */
import { random } from "../../core/testing/random_model.ts";
import { VALUE } from "../gguf/value_types.ts";
import type { Entry, WrittenFile } from "./gguf_writer.ts";

/** A matrix that is adapted. */
export interface WrittenModule {
  /** As the file calls it: "blk.0.attn_q.weight", "model.layers.0.self_attn.q_proj". */
  readonly name: string;
  readonly inputs: number;
  readonly outputs: number;
  readonly rank: number;
}

/** Values of A (`side` 0) and B (1) of the i-th module, row by row. */
export function loraValues(
  seed: number,
  i: number,
  side: 0 | 1,
  length: number,
): Float32Array {
  const next = random(1000 * seed + 2 * i + side);
  return Float32Array.from({ length }, () => Math.fround(next() - 0.5));
}

/** A GGUF file as llama.cpp's converter writes it. `changes`: entries by key. */
export function ggufAdapter(
  modules: readonly WrittenModule[],
  seed: number,
  changes: Readonly<Record<string, Entry | undefined>> = {},
): WrittenFile {
  const entries: Record<string, Entry | undefined> = {
    type: ["general.type", VALUE.STRING, "adapter"],
    architecture: ["general.architecture", VALUE.STRING, "llama"],
    kind: ["adapter.type", VALUE.STRING, "lora"],
    alpha: ["adapter.lora.alpha", VALUE.F32, 2],
    ...changes,
  };
  return {
    entries: Object.values(entries).filter((e) => e !== undefined),
    tensors: modules.flatMap(({ name, inputs, outputs, rank }, i) => [
      {
        name: `${name}.lora_a`,
        dims: [inputs, rank],
        type: 0,
        bytes: bytesOf(loraValues(seed, i, 0, rank * inputs)),
      },
      {
        name: `${name}.lora_b`,
        dims: [rank, outputs],
        type: 0,
        bytes: bytesOf(loraValues(seed, i, 1, outputs * rank)),
      },
    ]),
  };
}

/** A tensor of a safetensors file. */
export interface WrittenStored {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** Tensors of the same values as PEFT names them, in F32. */
export function peftTensors(
  modules: readonly WrittenModule[],
  seed: number,
): readonly WrittenStored[] {
  return modules.flatMap(({ name, inputs, outputs, rank }, i) => {
    const stem = `base_model.model.${name}`;
    const stored = (side: 0 | 1, rows: number, columns: number) => ({
      name: `${stem}.lora_${side === 0 ? "A" : "B"}.weight`,
      dtype: "F32",
      shape: [rows, columns],
      bytes: bytesOf(loraValues(seed, i, side, rows * columns)),
    });
    return [stored(0, rank, inputs), stored(1, outputs, rank)];
  });
}

/** A safetensors file. */
export function writeStored(tensors: readonly WrittenStored[]): Uint8Array {
  let at = 0;
  const header = Object.fromEntries(
    tensors.map(({ name, dtype, shape, bytes }) => {
      const data_offsets = [at, at += bytes.length];
      return [name, { dtype, shape, data_offsets }];
    }),
  );
  const json = new TextEncoder().encode(JSON.stringify(header));
  const out = new Uint8Array(8 + json.length + at);
  new DataView(out.buffer).setBigUint64(0, BigInt(json.length), true);
  out.set(json, 8);
  let to = 8 + json.length;
  for (const { bytes } of tensors) {
    out.set(bytes, to);
    to += bytes.length;
  }
  return out;
}

function bytesOf(values: Float32Array): Uint8Array {
  return new Uint8Array(values.buffer);
}
