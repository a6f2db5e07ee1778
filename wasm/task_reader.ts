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
  /** Rows are rounded to a format of the file first: its number, layout and row bytes. */
  readonly round?: {
    readonly name: string;
    readonly type: number;
    readonly kind: number;
    readonly rowBytes: number;
  };
  /** Of "plain" rows: added to every value. */
  readonly plus?: number;
  /** Index of the host buffer that it goes to instead, `w` from its start. */
  readonly host?: number;
}

/** The kernels that packing needs. */
export interface PackKernels {
  pack(record: number, type: number): number;
  expand(record: number, type: number): number;
  round(record: number, type: number): number;
  decodeRow(record: number, row: number, to: number): void;
}

/** What one worker reads with. Addresses are offsets in the shared memory. */
export interface ReaderSpace {
  /** 128 bytes for records. */
  readonly record: number;
  /** Space for a task's rows. */
  readonly staging: number;
  /**
   * Space to decode a panel in: in its layout, as f32 rows, and as rows of the format
   * that it is rounded to.
   */
  readonly decoding: readonly [number, number, number];
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
  const { record, staging, decoding: [lanes, rows, rounded] } = space;
  const all = new Uint8Array(buffer);
  const repack = new Int32Array(buffer, record, 5);
  const embed = new Int32Array(buffer, record + 64, 5);

  /** Rows of a format, from `src` to lanes at `w`. */
  const pack = (
    type: number,
    src: number,
    rowBytes: number,
    count: number,
    w: number,
    n: number,
  ): void => {
    repack.set([src, rowBytes, count, w, n]);
    if (kernels.pack(record, type) === 0) {
      throw new Error(`no kernel repacks weights of GGUF type ${type}`);
    }
  };

  /** A panel in the lanes of its layout, to f32 at `rows`. */
  const unpack = (kind: number, count: number, n: number): void => {
    embed.set([0, 0, lanes, kind, n]);
    for (let k = 0; k < count; k++) {
      kernels.decodeRow(record + 64, k, rows + k * n * 4);
    }
  };

  /** Rows of the file to f32 at `rows`. */
  const decode = (task: LoadTask, src: number, count: number): void => {
    const { type, kind, rowBytes, inputs: n } = task;
    repack.set([src, rowBytes, count, rows, n]);
    if (kernels.expand(record, type) !== 0) return;
    pack(type, src, rowBytes, count, lanes, n);
    unpack(kind, count, n);
  };

  /** What stands at `rows`, rounded, to lanes at `w`. */
  const round = (
    { round, inputs: n, offset }: LoadTask,
    first: number,
    count: number,
    w: number,
  ): void => {
    const { name, type, rowBytes } = round!;
    repack.set([rows, n * 4, count, rounded, n]);
    if (kernels.round(record, type) === 0) {
      throw new Error(
        `weights in rows ${first} to ${
          first + count - 1
        } behind byte ${offset} cannot be rounded to ${name}: they are no numbers, or need a scale beyond 65504`,
      );
    }
    pack(type, rounded, rowBytes, count, w, n);
  };

  /** A panel at a time, by way of f32. */
  const convert = (task: LoadTask, w: number): void => {
    const n = task.inputs, { plus } = task;
    const panels = Math.ceil(task.rows / 8);
    const each = task.form === "plain" ? n * 32 : task.packed / panels;
    for (let r = 0; r < task.rows; r += 8) {
      const count = Math.min(8, task.rows - r);
      const to = w + r / 8 * each;
      decode(task, staging + r * task.rowBytes, count);
      if (task.round !== undefined) {
        round(task, r, count, task.form === "lanes" ? to : lanes);
        if (task.form === "lanes") continue;
        unpack(task.round.kind, count, n);
      }
      if (task.form === "f32") pack(0, rows, n * 4, count, to, n);
      else {
        if (plus !== undefined) {
          const values = new Float32Array(buffer, rows, count * n);
          for (let i = 0; i < values.length; i++) values[i]! += plus;
        }
        all.copyWithin(to, rows, rows + count * n * 4);
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
    const { form, round, type, rowBytes, rows: count, inputs } = task;
    if (form !== "lanes" || round !== undefined) convert(task, w);
    else pack(type, staging, rowBytes, count, w, inputs);
  };
};
