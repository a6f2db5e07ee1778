/**
 * The compute workers of one backend: started, fed and watched from here.
 *
 * @module
 */
import { type LoadTask, taskReader } from "./task_reader.ts";
import {
  CONTROL_WORDS,
  type WorkerLoad,
  workerMain,
  type WorkerStart,
} from "./worker.ts";

/** How long workers may take to stop by themselves, milliseconds. */
const PATIENCE = 2000;

/** Looks at a barrier before a worker sleeps, where cores are its own. */
const BARRIER_SPINS = 20_000;

/** Where others have work for them meanwhile. */
const SHARED_SPINS = 1000;

/** Bytes that `Workers` needs for its control words. */
export const CONTROL_BYTES = CONTROL_WORDS * 4;

/** How workers are started. Addresses are offsets in the shared memory. */
export interface WorkersOptions {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly threads: number;
  readonly control: number;
  /** One per worker. */
  readonly scratch: readonly number[];
  readonly mode: number;
  readonly spins: number;
  /** Others compute on the same cores: feeders. Default false. */
  readonly shared?: boolean;
}

/** A set of workers that run step programs together. */
export class Workers {
  readonly #workers: Worker[] = [];
  readonly #words: Int32Array;
  readonly #options: WorkersOptions;
  #failure: Error | undefined;
  /** Rejects whatever is awaited now. */
  #reject: ((error: Error) => void) | undefined;
  #answers: ((type: string) => void) | undefined;
  #serving = false;
  /** Resolves when the workers are through with the last step. */
  #step: Promise<unknown> = Promise.resolve();
  #closed: Promise<void> | undefined;
  /** No worker that stops now can be waited for. */
  #giveUp: (() => void) | undefined;

  private constructor(options: WorkersOptions) {
    this.#options = options;
    const { memory, control } = options;
    this.#words = new Int32Array(memory.buffer, control, CONTROL_WORDS);
    this.#words.fill(0);
    this.#words[10] = options.shared ? SHARED_SPINS : BARRIER_SPINS;
  }

  /** Starts the workers and waits until each has its kernels. */
  static async start(options: WorkersOptions): Promise<Workers> {
    const self = new Workers(options);
    const text = `(${workerMain})(${taskReader})`;
    const url = URL.createObjectURL(
      new Blob([text], { type: "text/javascript" }),
    );
    try {
      const ready = self.#all("ready");
      for (let thread = 0; thread < options.threads; thread++) {
        const worker = new Worker(url, {
          type: "module",
          name: `quire-compute-${thread}`,
        });
        self.#workers.push(worker);
        worker.onmessage = ({ data }) => self.#hear(data);
        worker.onerror = (event) => {
          event.preventDefault();
          self.#fail(event.message);
        };
        const { module, memory, control, mode, spins, threads } = options;
        const value: WorkerStart = {
          module,
          memory,
          control,
          thread,
          threads,
          scratch: options.scratch[thread]!,
          mode,
          spins,
        };
        worker.postMessage({ type: "start", value });
      }
      await ready;
    } catch (error) {
      self.#terminate();
      throw error;
    } finally {
      URL.revokeObjectURL(url);
    }
    return self;
  }

  /**
   * Reads and repacks weights. `onProgress` hears how many tasks are done.
   * Rejects, once no worker reads any more, with the cause where a worker fails,
   * with what `onProgress` throws, or with the signal's reason.
   */
  async load(
    paths: readonly string[],
    tasks: readonly LoadTask[],
    spaces: readonly Omit<WorkerLoad, "paths" | "tasks">[],
    onProgress: (done: number) => void,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    signal?.throwIfAborted();
    const loaded = this.#all("loaded");
    const stop = (): void => void Atomics.store(this.#words, 7, 1);
    signal?.addEventListener("abort", stop, { once: true });
    let thrown: { readonly error: unknown } | undefined;
    const timer = setInterval(() => {
      try {
        onProgress(Atomics.load(this.#words, 9));
      } catch (error) {
        thrown ??= { error };
        stop();
        clearInterval(timer);
      }
    }, 50);
    try {
      this.#workers.forEach((worker, i) => {
        const value: WorkerLoad = { paths, tasks, ...spaces[i]! };
        worker.postMessage({ type: "load", value });
      });
      await loaded;
    } finally {
      clearInterval(timer);
      signal?.removeEventListener("abort", stop);
    }
    signal?.throwIfAborted();
    if (thrown !== undefined) throw thrown.error;
    onProgress(tasks.length);
    for (const worker of this.#workers) worker.postMessage({ type: "serve" });
    this.#serving = true;
  }

  /**
   * Runs the program at `address` on every worker. Rejects where a worker fails,
   * after `close()`, and while another program runs.
   */
  run(address: number): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    const words = this.#words, last = words[0]!;
    if (Atomics.load(words, 1) !== last) {
      return Promise.reject(
        new TypeError("Cannot run a step: the last one is still running"),
      );
    }
    const generation = (last + 1) | 0;
    words[3] = address;
    Atomics.store(words, 0, generation);
    Atomics.notify(words, 0);
    const waiting = Atomics.waitAsync(words, 1, last);
    // Not what it was: the workers were through at once.
    if (!waiting.async) return Promise.resolve();
    this.#step = waiting.value;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      waiting.value.then(() => {
        this.#reject = undefined;
        resolve();
      });
    });
  }

  /** Stops the workers; what is awaited is rejected. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    const works = this.#failure === undefined && this.#serving;
    this.#failure ??= new Error("Cannot compute: the backend was closed");
    this.#reject?.(this.#failure);
    this.#reject = undefined;
    if (works) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const late = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, PATIENCE);
        this.#giveUp = resolve;
      });
      await Promise.race([this.#stop(), late]);
      clearTimeout(timer);
    }
    this.#terminate();
  }

  /**
   * Resolves when all have stopped by themselves. Not before the step is over:
   * one that came late would leave it out, and the others wait for it.
   */
  async #stop(): Promise<void> {
    await this.#step;
    let left = this.#options.threads;
    const stopped = new Promise<void>((resolve) => {
      this.#answers = (said) => {
        if (said === "stopped" && --left === 0) resolve();
      };
    });
    Atomics.store(this.#words, 7, 1);
    Atomics.add(this.#words, 0, 1);
    Atomics.notify(this.#words, 0);
    await stopped;
  }

  /** Resolves when every worker has said `type`. */
  #all(type: string): Promise<void> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    let left = this.#options.threads;
    return new Promise((resolve, reject) => {
      this.#reject = reject;
      this.#answers = (said) => {
        if (said === type && --left === 0) {
          this.#reject = undefined;
          resolve();
        }
      };
    });
  }

  #hear(message: { type: string; message?: string; stack?: string }): void {
    if (message.type === "failed") this.#fail(message.message ?? "no reason");
    else this.#answers?.(message.type);
  }

  #fail(why: string): void {
    this.#giveUp?.();
    if (this.#failure !== undefined) return;
    this.#failure = new Error(`Cannot compute: a worker stopped: ${why}`);
    this.#terminate();
    this.#reject?.(this.#failure);
    this.#reject = undefined;
  }

  #terminate(): void {
    for (const worker of this.#workers) worker.terminate();
  }
}
