/**
 * Matrices of an adapter's file: whole, some of their rows, or rows in another order.
 *
 * @module
 */
import type { AdapterMatrix } from "../../core/adapters.ts";
import { ModelError } from "../../core/errors.ts";
import type { WeightType } from "../../core/model.ts";
import { dequantise } from "../dequantise.ts";
import { quote } from "../gguf/walk.ts";

/** The file as it was when its content was looked at. */
export interface AdapterFile {
  readonly path: string;
  readonly bytes: number;
  /** When it was changed last, milliseconds; null where the system does not say. */
  readonly changed: number | null;
}

/** A matrix as a file has it. */
export interface StoredMatrix {
  readonly file: AdapterFile;
  readonly name: string;
  readonly type: WeightType;
  readonly rows: number;
  readonly columns: number;
  readonly offset: number;
  readonly bytes: number;
}

/** What a file is now. */
export async function adapterFile(path: string): Promise<AdapterFile> {
  const { size, mtime } = await Deno.stat(path);
  return { path, bytes: size, changed: mtime?.getTime() ?? null };
}

/** Types that are kept as they are. */
const KEPT = ["F32", "F16", "BF16"] as const;

/** `order[i]`: which row of the file is row i. */
export function matrixOf(
  stored: StoredMatrix,
  order?: Int32Array,
): AdapterMatrix {
  const type = KEPT.find((t) => t === stored.type) ?? "F32";
  const { columns } = stored, rows = order?.length ?? stored.rows;
  return {
    type,
    rows,
    columns,
    read: async () => {
      let bytes = await readStored(stored);
      if (type !== stored.type) {
        const values = new Float32Array(stored.rows * columns);
        dequantise(stored.type, bytes, values);
        bytes = new Uint8Array(values.buffer);
      }
      if (order !== undefined) {
        bytes = reordered(bytes, bytes.length / stored.rows, order);
      }
      requireFinite(stored, type, bytes);
      return bytes;
    },
  };
}

async function readStored(
  { file, name, offset, bytes }: StoredMatrix,
): Promise<Uint8Array> {
  const { path } = file, now = await adapterFile(path);
  const out = new Uint8Array(bytes);
  using handle = await Deno.open(path, { read: true });
  await handle.seek(offset, Deno.SeekMode.Start);
  let done = 0;
  while (done < bytes) {
    const got = await handle.read(out.subarray(done));
    if (got === null) break;
    done += got;
  }
  if (
    done < bytes || now.bytes !== file.bytes || now.changed !== file.changed
  ) {
    throw new ModelError(
      path,
      `the file changed while it was loaded, at tensor ${
        quote(name)
      }; load it again`,
    );
  }
  return out;
}

function reordered(
  bytes: Uint8Array,
  rowBytes: number,
  order: Int32Array,
): Uint8Array {
  const out = new Uint8Array(order.length * rowBytes);
  order.forEach((from, to) => {
    const row = bytes.subarray(from * rowBytes, (from + 1) * rowBytes);
    out.set(row, to * rowBytes);
  });
  return out;
}

/** One NaN would be in everything that is computed with it. */
function requireFinite(
  { file, name }: StoredMatrix,
  type: AdapterMatrix["type"],
  bytes: Uint8Array,
): void {
  // The upper half of the value has the exponent.
  const size = type === "F32" ? 4 : 2, mask = type === "F16" ? 0x7c00 : 0x7f80;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  for (let at = size - 2; at < bytes.length; at += size) {
    if ((view.getUint16(at, true) & mask) !== mask) continue;
    throw new ModelError(
      file.path,
      `tensor ${quote(name)} has values that are no finite numbers`,
    );
  }
}
