/**
 * Reading rows of a model's file and packing them into lanes, for any worker. Sent
 * along as text: `taskReader` may use nothing outside its own body.
 *
 * @module
 */

/** A run of rows to read and repack. Offsets are bytes in the shared memory or file. */
export interface LoadTask {
  readonly file: number;
  readonly offset: number;
  readonly bytes: number;
  readonly rows: number;
  readonly rowBytes: number;
  readonly inputs: number;
  readonly type: number;
  /** Lane layout of the file's format. */
  readonly kind: number;
  /** "lanes": as the format's layout; "f32": decoded to f32 lanes; "plain": to f32 rows. */
  readonly form: "lanes" | "f32" | "plain";
  /** Where the first row's panel goes. */
  readonly w: number;
  /** Bytes it has there. */
  readonly packed: number;
  /** Index of the host buffer that it goes to instead, `w` from its start. */
  readonly host?: number;
}

/** The kernels that packing needs. */
export interface PackKernels {
  pack(record: number, type: number): number;
  decodeRow(record: number, row: number, to: number): void;
}

/** What one worker reads with. Addresses are offsets in the shared memory. */
export interface ReaderSpace {
  /** 128 bytes for records. */
  readonly record: number;
  /** Space for a task's rows. */
  readonly staging: number;
  /** Space to decode a panel in: in its layout, and as f32 rows. */
  readonly decoding: readonly [number, number];
}

/** Reads a task's rows from an open file and packs them to `w`. */
export type ReadTask = (task: LoadTask, file: Deno.FsFile, w: number) => void;

/** Makes a reader; throws where the file ends early or no kernel knows the format. */
export type TaskReader = (
  kernels: PackKernels,
  buffer: SharedArrayBuffer,
  space: ReaderSpace,
) => ReadTask;

/** See {@linkcode TaskReader}. */
export const taskReader: TaskReader = (kernels, buffer, space) => {
  const { record, staging, decoding: [lanes, rows] } = space;
  const all = new Uint8Array(buffer);
  const repack = new Int32Array(buffer, record, 5);
  const embed = new Int32Array(buffer, record + 64, 5);

  const pack = (task: LoadTask, src: number, count: number, w: number) => {
    repack.set([src, task.rowBytes, count, w, task.inputs]);
    if (kernels.pack(record, task.type) === 0) {
      throw new Error(`no kernel repacks weights of GGUF type ${task.type}`);
    }
  };

  /** A panel at a time: to its own lanes, back to f32, to where it belongs. */
  const decode = (task: LoadTask, w: number) => {
    const n = task.inputs, size = n * 4;
    for (let r = 0; r < task.rows; r += 8) {
      const count = Math.min(8, task.rows - r), to = w + r * size;
      pack(task, staging + r * task.rowBytes, count, lanes);
      embed.set([0, 0, lanes, task.kind, n]);
      for (let k = 0; k < count; k++) {
        kernels.decodeRow(record + 64, k, rows + k * size);
      }
      if (task.form === "plain") {
        all.copyWithin(to, rows, rows + count * size);
      } else {
        repack.set([rows, size, count, to, n]);
        kernels.pack(record, 0);
      }
    }
  };

  return (task, file, w) => {
    file.seekSync(task.offset, 0);
    const end = staging + task.bytes;
    for (let at = staging; at < end;) {
      const got = file.readSync(all.subarray(at, end));
      if (got === null) {
        throw new Error(
          `the file ended ${end - at} bytes early at ${
            task.offset + at - staging
          }`,
        );
      }
      at += got;
    }
    if (task.form === "lanes") pack(task, staging, task.rows, w);
    else decode(task, w);
  };
};
