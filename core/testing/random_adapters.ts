/**
 * Adapters with random values for any model, and the model they make.
 *
 * @module
 */
import type { Adapter, AdapterMatrix, AdapterModule } from "../adapters.ts";
import type { ModelSpec } from "../model.ts";
import { toFloats } from "../values.ts";
import { random, type RandomModel } from "./random_model.ts";

/** How an adapter is made. */
export interface RandomAdapterOptions {
  readonly seed: number;
  /** Default 4. */
  readonly rank?: number;
  readonly type?: AdapterMatrix["type"];
  /** Default: all that `adaptable()` names. */
  readonly tensors?: readonly string[];
}

/** The matrices of a model that can take an adapter: experts take none. */
export function adaptable(spec: ModelSpec): readonly string[] {
  return [
    ...spec.layers.flatMap((layer) => {
      const { tensors: { q, k, v, attnOut }, mlp } = layer;
      const mlps = mlp === undefined ? [] : [mlp.gate, mlp.up, mlp.down];
      return [q, k, v, attnOut, ...mlps];
    }),
    spec.output,
  ];
}

/** An adapter whose additions are about a quarter of what the model computes. */
export function randomAdapter(
  spec: ModelSpec,
  { seed, rank = 4, type = "F32", tensors = adaptable(spec) }:
    RandomAdapterOptions,
): Adapter {
  const modules = new Map<string, AdapterModule>();
  for (const [i, tensor] of tensors.entries()) {
    const { inputs, outputs } = spec.tensors.get(tensor)!;
    const matrix = (
      rows: number,
      columns: number,
      s: number,
    ): AdapterMatrix => {
      const bytes = randomBytes(type, rows * columns, 1000 * seed + 2 * i + s);
      return { type, rows, columns, read: () => bytes };
    };
    modules.set(tensor, {
      tensor,
      rank,
      factor: 3 / (rank * inputs),
      a: matrix(rank, inputs, 0),
      b: matrix(outputs, rank, 1),
    });
  }
  return { name: `adapter-${seed}`, id: `${seed}-${rank}-${type}`, modules };
}

function randomBytes(
  type: AdapterMatrix["type"],
  length: number,
  seed: number,
): Uint8Array {
  const next = random(seed), size = type === "F32" ? 4 : 2;
  const view = new DataView(new ArrayBuffer(length * size));
  for (let i = 0; i < length; i++) {
    const value = next() * 4 - 2;
    if (type === "F32") view.setFloat32(4 * i, value, true);
    else if (type === "F16") view.setFloat16(2 * i, value, true);
    else {
      // The upper half of an f32.
      const word = new DataView(new ArrayBuffer(4));
      word.setFloat32(0, value);
      view.setUint16(2 * i, word.getUint16(0), true);
    }
  }
  return new Uint8Array(view.buffer);
}

/** The values of an adapter's matrix. */
export async function matrixValues(
  { type, rows, columns, read }: AdapterMatrix,
): Promise<Float32Array> {
  const out = new Float32Array(rows * columns);
  toFloats(type, await read(), out);
  return out;
}

/**
 * A model whose matrices are W + Σ scale · factor · B·A, as one of its own. An output
 * that is tied to the embedding becomes one of its own: the embedding stays.
 */
export function merged(
  { spec, read }: RandomModel,
  adapters: readonly (readonly [Adapter, number])[],
): RandomModel {
  const { embedding, output } = spec, own = `${output} merged`;
  const tied = output === embedding;
  const tensors = new Map(spec.tensors);
  tensors.set(own, { ...spec.tensors.get(output)!, name: own });
  return {
    spec: tied ? { ...spec, tensors, output: own } : spec,
    read: async (wanted) => {
      const name = wanted === own ? output : wanted;
      const sum = Float64Array.from(await read(name));
      if (tied && wanted === embedding) return read(name);
      for (const [{ modules }, scale] of adapters) {
        const module = modules.get(name);
        if (module === undefined) continue;
        const { rank, factor } = module, inputs = module.a.columns;
        const a = await matrixValues(module.a);
        const b = await matrixValues(module.b);
        for (let i = 0; i < sum.length; i++) {
          const o = Math.floor(i / inputs), column = i % inputs;
          let product = 0;
          for (let k = 0; k < rank; k++) {
            product += b[o * rank + k]! * a[k * inputs + column]!;
          }
          sum[i]! += scale * factor * product;
        }
      }
      return Float32Array.from(sum);
    },
  };
}
