/**
 * How fast this machine reads the bytes of streamed layers, with nothing else to do:
 * what streaming is measured against.
 *
 * @module
 */
import { type ModelSpec, tensorsOf } from "../../core/model.ts";
import { forgetFile } from "./raw_rates.ts";

/** A run of bytes of a file. */
export interface Run {
  readonly path: string;
  readonly at: number;
  readonly bytes: number;
}

/** Bytes read at a time, as feeders do. */
const PIECE = 1 << 18;

/** Tensors this near to one another are read as one run. */
const GAP = 1 << 16;

/** Where the matrices of these layers lie, in the order of the file. */
export function layerRuns(
  spec: ModelSpec,
  paths: readonly string[],
  layers: readonly number[],
): Run[] {
  const tensors = layers.flatMap((l) =>
    tensorsOf(spec.layers[l]!)
      .map((name) => spec.tensors.get(name)!)
      .filter((t) => t.outputs > 1)
  ).sort((a, b) => a.file - b.file || a.offset - b.offset);
  const runs: Run[] = [];
  for (const { file, offset, bytes } of tensors) {
    const path = paths[file]!, last = runs.at(-1);
    const end = last === undefined ? 0 : last.at + last.bytes;
    if (last?.path === path && offset >= end && offset - end <= GAP) {
      runs[runs.length - 1] = { ...last, bytes: offset + bytes - last.at };
    } else runs.push({ path, at: offset, bytes });
  }
  return runs;
}

/** Reads runs, or copies as many bytes within memory, and says how long it took. */
function readerMain(): void {
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent) => void;
    postMessage(message: unknown): void;
  };
  scope.onmessage = ({ data }) => {
    const { runs, piece, to, from } = data as {
      runs: readonly Run[];
      piece: number;
      to: SharedArrayBuffer;
      from: SharedArrayBuffer | undefined;
    };
    const out = new Uint8Array(to), started = performance.now();
    if (from !== undefined) {
      const source = new Uint8Array(from);
      for (let at = 0; at < source.length; at += piece) {
        const part = source.subarray(at, at + piece);
        out.set(part, at % (out.length - piece));
      }
    }
    for (const { path, at, bytes } of runs) {
      const file = Deno.openSync(path);
      file.seekSync(at, 0);
      for (let n = 0; n < bytes;) {
        const got = file.readSync(out.subarray(0, Math.min(piece, bytes - n)));
        if (got === null) throw new Error(`"${path}" is too short`);
        n += got;
      }
      file.close();
    }
    scope.postMessage(performance.now() - started);
  };
}

/** A worker that reads; close it. */
export class RawReader {
  readonly #worker: Worker;
  readonly #to = new SharedArrayBuffer(8 << 20);

  constructor() {
    const text = `(${readerMain})()`;
    const url = URL.createObjectURL(
      new Blob([text], { type: "text/javascript" }),
    );
    this.#worker = new Worker(url, { type: "module" });
    URL.revokeObjectURL(url);
  }

  /** Milliseconds to read the runs, one after the other. */
  read(runs: readonly Run[]): Promise<number> {
    return this.#ask({ runs, from: undefined });
  }

  /** Milliseconds to copy a buffer, piece by piece. */
  copy(from: SharedArrayBuffer): Promise<number> {
    return this.#ask({ runs: [], from });
  }

  #ask(what: object): Promise<number> {
    return new Promise((resolve, reject) => {
      this.#worker.onmessage = ({ data }) => resolve(data);
      this.#worker.onerror = (event) => {
        event.preventDefault();
        reject(new Error(event.message));
      };
      this.#worker.postMessage({ ...what, piece: PIECE, to: this.#to });
    });
  }

  [Symbol.dispose](): void {
    this.#worker.terminate();
  }
}

/**
 * Makes the system forget what it keeps of files, so that they are read from the
 * drive. Needs `--allow-run=dd`, and a dd that knows `iflag=nocache`.
 */
export class Forgetter {
  readonly #paths: readonly string[];
  #running: Promise<void> | undefined;

  private constructor(paths: readonly string[]) {
    this.#paths = paths;
  }

  /** Undefined where that is not allowed, or not possible. */
  static async open(paths: readonly string[]): Promise<Forgetter | undefined> {
    const run = { name: "run", command: "dd" } as const;
    if (Deno.permissions.querySync(run).state !== "granted") return undefined;
    const self = new Forgetter(paths);
    try {
      await self.forget();
      return self;
    } catch {
      return undefined;
    }
  }

  /** Begins to, unless it is at it. */
  kick(): void {
    this.#running ??= this.#forget().catch(() => {}).finally(() =>
      this.#running = undefined
    );
  }

  /** Has forgotten everything. */
  async forget(): Promise<void> {
    await this.#running;
    await this.#forget();
  }

  async #forget(): Promise<void> {
    for (const path of this.#paths) {
      if (!await forgetFile(path)) throw new Error(`Cannot forget "${path}"`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#running;
  }
}
