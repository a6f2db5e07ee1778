/**
 * What a compute worker does. `workerMain` is sent to it as text, so that starting
 * one needs no permission; it may use nothing outside its own body.
 *
 * Control words, i32, at the address `control` of the shared memory:
 *
 * ```text
 *  0 generation   1 finished     2 arrived      3 program       4..6 barrier
 *  7 stop         8 next task    9 tasks done
 * ```
 * The caller writes a program's address, raises `generation` and wakes everyone;
 * the last to finish copies it to `finished` and wakes the caller.
 *
 * @module
 */

/** Number of control words. */
export const CONTROL_WORDS = 16;

/** First message to a worker. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly control: number;
  readonly thread: number;
  readonly threads: number;
  readonly scratch: number;
  /** How eight-bit products are summed; -1: by the kernels' own probe. */
  readonly mode: number;
  /** Spins between two looks at the clock of an idle worker; 0 sleeps at once. */
  readonly spins: number;
}

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
}

/** Second message: what to load. Answered by "loaded" or an error. */
export interface WorkerLoad {
  readonly paths: readonly string[];
  readonly tasks: readonly LoadTask[];
  /** Staging space in the shared memory. */
  readonly staging: number;
  /** Space to decode a panel in: in its layout, and as f32 rows. */
  readonly decoding: readonly [number, number];
}

/** Body of a compute worker. */
export function workerMain(): void {
  interface Kernels {
    run(
      program: number,
      mode: number,
      thread: number,
      threads: number,
      sync: number,
      scratch: number,
    ): void;
    pack(record: number, type: number): number;
    decodeRow(record: number, row: number, to: number): void;
    probe(): number;
  }
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent) => void;
    postMessage(message: unknown): void;
    close(): void;
  };
  let start: WorkerStart;
  let kernels: Kernels;
  let words: Int32Array;

  scope.onmessage = (event) => {
    const { type, value } = event.data as { type: string; value: unknown };
    try {
      if (type === "start") open(value as WorkerStart);
      else if (type === "load") load(value as WorkerLoad);
      else serve();
    } catch (error) {
      const { message, stack } = error as Error;
      scope.postMessage({ type: "failed", message, stack });
      scope.close();
    }
  };

  function open(value: WorkerStart): void {
    start = value;
    const { module, memory } = value;
    words = new Int32Array(memory.buffer, value.control, 16);
    const instance = new WebAssembly.Instance(module, { env: { memory } });
    kernels = instance.exports as unknown as Kernels;
    const mode = value.mode < 0 ? kernels.probe() : value.mode;
    start = { ...value, mode };
    scope.postMessage({ type: "ready" });
  }

  /** Claims tasks until none is left: read rows, repack them in place. */
  function load({ paths, tasks, staging, decoding }: WorkerLoad): void {
    const files = paths.map((path) => Deno.openSync(path));
    try {
      for (;;) {
        const i = Atomics.add(words, 8, 1);
        if (i >= tasks.length || Atomics.load(words, 7) !== 0) break;
        const task = tasks[i]!;
        const file = files[task.file]!;
        file.seekSync(task.offset, 0);
        const raw = new Uint8Array(start.memory.buffer, staging, task.bytes);
        for (let n = 0; n < raw.length;) {
          const got = file.readSync(raw.subarray(n));
          if (got === null) {
            throw new Error(
              `the file ended ${raw.length - n} bytes early at ${
                task.offset + n
              }`,
            );
          }
          n += got;
        }
        if (task.form === "lanes") pack(task, staging, task.rows, task.w);
        else decode(task, staging, decoding);
        Atomics.add(words, 9, 1);
      }
    } finally {
      for (const file of files) file.close();
    }
    scope.postMessage({ type: "loaded" });
  }

  function record(): number {
    return start.scratch;
  }

  function pack(task: LoadTask, src: number, rows: number, w: number): void {
    const fields = new Int32Array(start.memory.buffer, record(), 5);
    fields.set([src, task.rowBytes, rows, w, task.inputs]);
    if (kernels.pack(record(), task.type) === 0) {
      throw new Error(`no kernel repacks weights of GGUF type ${task.type}`);
    }
  }

  /** A panel at a time: to its own lanes, back to f32, to where it belongs. */
  function decode(
    task: LoadTask,
    staging: number,
    [lanes, rows]: WorkerLoad["decoding"],
  ): void {
    const n = task.inputs, size = n * 4;
    const embed = new Int32Array(start.memory.buffer, record() + 64, 5);
    for (let r = 0; r < task.rows; r += 8) {
      const count = Math.min(8, task.rows - r);
      pack(task, staging + r * task.rowBytes, count, lanes);
      embed.set([0, 0, lanes, task.kind, n]);
      for (let k = 0; k < count; k++) {
        kernels.decodeRow(record() + 64, k, rows + k * size);
      }
      const to = task.w + r * size;
      if (task.form === "plain") {
        const out = new Uint8Array(start.memory.buffer);
        out.copyWithin(to, rows, rows + count * size);
      } else {
        const fields = new Int32Array(start.memory.buffer, record(), 5);
        fields.set([rows, size, count, to, n]);
        kernels.pack(record(), 0);
      }
    }
  }

  /** Runs programs until told to stop. Never returns to the event loop. */
  function serve(): void {
    const { thread, threads, control, mode, scratch, spins } = start;
    let seen = 0;
    for (;;) {
      for (let i = 0; i < spins && Atomics.load(words, 0) === seen; i++) {
        Atomics.pause();
      }
      while (Atomics.load(words, 0) === seen) Atomics.wait(words, 0, seen);
      seen = Atomics.load(words, 0);
      if (Atomics.load(words, 7) !== 0) break;
      const program = Atomics.load(words, 3);
      kernels.run(program, mode, thread, threads, control + 16, scratch);
      if (Atomics.add(words, 2, 1) === threads - 1) {
        Atomics.store(words, 2, 0);
        Atomics.store(words, 1, seen);
        Atomics.notify(words, 1);
      }
    }
    scope.postMessage({ type: "stopped" });
    scope.close();
  }
}
