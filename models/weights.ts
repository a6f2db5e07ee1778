/**
 * Weights read from a file and decoded to f32: for the reference backend and
 * for runs in full precision.
 *
 * @module
 */
import { ModelError } from "../core/errors.ts";
import type { RoundedType, TensorInfo } from "../core/model.ts";
import { dequantise } from "./dequantise.ts";
import type { ModelFile } from "./model_file.ts";
import { quote } from "./gguf/walk.ts";
import { quantise } from "./quantise.ts";

/**
 * Reads one tensor and decodes it. `tensors`: a model's, with views into the file's.
 *
 * @returns `stack * outputs * inputs` values, row by row.
 * @throws {ModelError} if the model has no such tensor or its file became shorter.
 */
export async function readTensor(
  file: ModelFile,
  name: string,
  tensors: ReadonlyMap<string, TensorInfo> = file.tensors,
): Promise<Float32Array> {
  const info = tensors.get(name);
  if (info === undefined) {
    throw new ModelError(file.path, `tensor ${quote(name)} is missing`);
  }
  const { path } = file.files[info.file]!;
  const bytes = new Uint8Array(info.bytes);
  using handle = await Deno.open(path, { read: true });
  await handle.seek(info.offset, Deno.SeekMode.Start);
  for (let done = 0; done < bytes.length;) {
    const got = await handle.read(bytes.subarray(done));
    if (got === null) {
      throw new ModelError(
        path,
        `tensor ${quote(name)} needs ${info.bytes} bytes at byte ` +
          `${info.offset}, got ${done}: the file changed since it was opened`,
      );
    }
    done += got;
  }
  const out = new Float32Array(info.inputs * info.outputs * info.stack);
  dequantise(info.type, bytes, out);
  const { plus = 0, as } = info;
  if (as !== undefined) dequantise(as, rounded(path, info, as, out), out);
  return plus === 0 ? out : out.map((x) => x + plus);
}

function rounded(
  path: string,
  { name }: TensorInfo,
  as: RoundedType,
  values: Float32Array,
): Uint8Array {
  try {
    return quantise(as, values);
  } catch (error) {
    throw new ModelError(
      path,
      `tensor ${quote(name)}: ${(error as Error).message}`,
    );
  }
}
