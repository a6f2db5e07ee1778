/**
 * Which weights are rounded when they are read, if that is asked for.
 *
 * @module
 */
import {
  mlpsOf,
  type ModelSpec,
  type RoundedType,
  type TensorInfo,
} from "../core/model.ts";
import { sha256Text } from "../core/sha256.ts";

/** What `load()` takes as "quantize": the usual names of the formats. */
export type Quantize = "q8_0" | "q4_0";

/** Every one of them. */
export const QUANTIZE: readonly Quantize[] = ["q8_0", "q4_0"];

/** Values in a block of either format. */
const BLOCK = 32;

/**
 * The model with its matrices kept as `to`, the embedding and the output as Q8_0: they
 * are where rounding shows most. Vectors, routers of experts, matrices whose rows are
 * no whole blocks and those that a file holds in fewer bits already stay as they are.
 *
 * Rounded weights are other weights, so the model's `id` is another one too; it is the
 * old one where nothing changes.
 */
export function quantisedSpec(
  spec: ModelSpec,
  to: Quantize | undefined,
): ModelSpec {
  if (to === undefined) return spec;
  const type: RoundedType = to === "q8_0" ? "Q8_0" : "Q4_0";
  const tensors = new Map(spec.tensors);
  let changed = false;
  const keep = (name: string, as: RoundedType): void => {
    const tensor = spec.tensors.get(name);
    if (tensor === undefined || !canRound(tensor)) return;
    tensors.set(name, { ...tensor, as });
    changed = true;
  };
  for (const layer of spec.layers) {
    const { q, k, v, attnOut } = layer.tensors;
    for (const name of [q, k, v, attnOut]) keep(name, type);
    for (const { gate, up, down } of mlpsOf(layer)) {
      for (const name of [gate, up, down]) keep(name, type);
    }
  }
  keep(spec.embedding, "Q8_0");
  keep(spec.output, "Q8_0");
  if (!changed) return spec;
  return { ...spec, id: sha256Text(`${spec.id} as ${to}`), tensors };
}

function canRound({ type, inputs, outputs }: TensorInfo): boolean {
  return ["F32", "F16", "BF16"].includes(type) && outputs > 1 &&
    inputs % BLOCK === 0;
}
