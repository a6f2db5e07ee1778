/**
 * What a compute worker does. `workerMain` is sent to it as text, so that starting
 * one needs no permission; it may use nothing outside its own body.
 *
 * Control words, i32, at the address `control` of the shared memory:
 *
 * ```text
 *  0 generation   1 finished     2 arrived      3 program       4..6 barrier
 *  7 stop         8 next task    9 tasks done   10 spins of the barrier
 * ```
 * The caller writes a program's address, raises `generation` and wakes everyone;
 * the last to finish copies it to `finished` and wakes the caller.
 *
 * @module
 */
import type {
  LoadTask,
  PackKernels,
  ReaderSpace,
  TaskReader,
} from "./task_reader.ts";

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

/** Second message: what to load. Answered by "loaded" or an error. */
export interface WorkerLoad {
  readonly paths: readonly string[];
  readonly tasks: readonly LoadTask[];
  /** Staging space in the shared memory. */
  readonly staging: number;
  /** Space to decode a panel in; see `ReaderSpace`. */
  readonly decoding: ReaderSpace["decoding"];
  /** Space for a packed task on its way to a host buffer. */
  readonly packed: number;
  /** Where tasks for the host go, by `LoadTask.host`. */
  readonly hosts: readonly SharedArrayBuffer[];
}

/** Body of a compute worker; `taskReader` is given to it as text as well. */
export function workerMain(taskReader: TaskReader): void {
  interface Kernels extends PackKernels {
    run(
      program: number,
      mode: number,
      thread: number,
      threads: number,
      sync: number,
      scratch: number,
    ): void;
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
  function load(value: WorkerLoad): void {
    const { paths, tasks, packed, hosts } = value;
    const buffer = start.memory.buffer as unknown as SharedArrayBuffer;
    const space = { ...value, record: start.scratch };
    const read = taskReader(kernels, buffer, space);
    const files = paths.map((path) => Deno.openSync(path));
    try {
      for (;;) {
        const i = Atomics.add(words, 8, 1);
        if (i >= tasks.length || Atomics.load(words, 7) !== 0) break;
        const task = tasks[i]!, file = files[task.file]!;
        if (task.host === undefined) read(task, file, task.w);
        else {
          read(task, file, packed);
          const from = new Uint8Array(buffer, packed, task.packed);
          new Uint8Array(hosts[task.host]!).set(from, task.w);
        }
        Atomics.add(words, 9, 1);
      }
    } finally {
      for (const file of files) file.close();
    }
    scope.postMessage({ type: "loaded" });
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
