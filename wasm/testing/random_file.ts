/**
 * A random model as the file that workers read.
 *
 * @module
 */
import type { RandomModel } from "../../core/testing/random_model.ts";
import type { ModelSpec, TensorInfo } from "../../core/model.ts";

/** Where a model's tensors lie. */
export interface RandomFile {
  /** The model with every tensor's place in the file. */
  readonly spec: ModelSpec;
  /** Paths as `WasmOptions` wants them. */
  readonly paths: readonly string[];
}

/**
 * Writes a model's tensors to a temporary file for as long as `use` runs: a
 * backend has read everything once it is made.
 */
export async function withRandomFile<T>(
  { spec, read }: RandomModel,
  use: (file: RandomFile) => Promise<T>,
): Promise<T> {
  const path = await Deno.makeTempFile({ suffix: ".tensors" });
  try {
    const tensors = new Map<string, TensorInfo>();
    using file = await Deno.open(path, { write: true });
    let offset = 0;
    for (const info of spec.tensors.values()) {
      const values = await read(info.name);
      const bytes = new Uint8Array(values.slice().buffer);
      for (let at = 0; at < bytes.length;) {
        at += await file.write(bytes.subarray(at));
      }
      tensors.set(info.name, { ...info, offset });
      offset += bytes.length;
    }
    return await use({ spec: { ...spec, tensors }, paths: [path] });
  } finally {
    await Deno.remove(path);
  }
}
