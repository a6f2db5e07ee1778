/**
 * A model whose weights are rounded when they are read, as a file that holds them so.
 *
 * @module
 */
import type { ModelSpec, TensorInfo } from "../../core/model.ts";
import { quantise } from "../../models/quantise.ts";
import { readTensor } from "../../models/weights.ts";
import type { TinyModel } from "./tiny_models.ts";

/**
 * Writes every tensor that `spec`, of the model's file, rounds in the format it is
 * rounded to, and all others as f32; lasts as long as `use` runs.
 */
export async function withRoundedTwin<T>(
  { file, fixture }: TinyModel,
  spec: ModelSpec,
  use: (twin: TinyModel) => Promise<T>,
): Promise<T> {
  const path = await Deno.makeTempFile({ suffix: ".twin" });
  try {
    using out = await Deno.open(path, { write: true });
    const tensors = new Map<string, TensorInfo>();
    let offset = 0;
    for (const [name, { as, ...info }] of spec.tensors) {
      // As the file has it, before any rounding.
      const values = await readTensor(file, name, new Map([[name, info]]));
      const bytes = as === undefined
        ? new Uint8Array(values.buffer)
        : quantise(as, values);
      const type = as ?? "F32";
      for (let at = 0; at < bytes.length;) {
        at += await out.write(bytes.subarray(at));
      }
      tensors.set(name, { ...info, type, offset, bytes: bytes.length });
      offset += bytes.length;
    }
    const twin = { ...file, files: [{ path, bytes: offset }], tensors };
    const twinSpec = { ...spec, tensors };
    return await use({
      fixture,
      file: twin,
      spec: twinSpec,
      read: (name) => readTensor(twin, name),
    });
  } finally {
    await Deno.remove(path);
  }
}

/** How far values are from others, as a part of their size. */
export function relativeError(got: Float32Array, want: Float32Array): number {
  let error = 0, size = 0;
  want.forEach((w, i) => {
    error += (w - got[i]!) ** 2;
    size += w * w;
  });
  return Math.sqrt(error / size);
}
