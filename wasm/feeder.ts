/**
 * What a feeder does: it fills slots with layers, for ever, in the order in which
 * workers use them. Feeders know nothing of steps: while the last layers, the output
 * and the sampler compute, they read the first layers of the next step.
 *
 * `feederMain` is sent as text; it may use nothing outside its own body. Two feeders
 * share the chunks of a layer, so that one reads while the other packs. The words
 * they go by are drawn in ring.ts.
 *
 * @module
 */
import type { WORD } from "./ring.ts";
import type {
  LoadTask,
  PackKernels,
  ReaderSpace,
  TaskReader,
} from "./task_reader.ts";

/** Bytes copied from a host buffer at a time. */
export const COPY_BYTES = 1 << 18;

/** First message to a feeder. Addresses are offsets in the shared memory. */
export interface FeederStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  /** The ring's words, how many there are, and what they are called. */
  readonly words: number;
  readonly wordCount: number;
  readonly names: typeof WORD;
  readonly base: number;
  readonly slotBytes: number;
  readonly depth: number;
  /**
   * Where slots are filled when they are asked for (expert_cache.ts): the word that
   * requests begin at, and how many there is room for.
   */
  readonly queue:
    | { readonly at: number; readonly capacity: number }
    | undefined;
  /** From disk: the model's files, and each layer's rows. */
  readonly paths: readonly string[];
  readonly tasks: readonly (readonly LoadTask[])[];
  /** From the host: each layer, copied `copyBytes` at a time. */
  readonly hosts: readonly SharedArrayBuffer[];
  readonly copyBytes: number;
  readonly space: ReaderSpace;
}

/** Body of a feeder; `taskReader` is given to it as text as well. */
export function feederMain(taskReader: TaskReader): void {
  const scope = globalThis as unknown as {
    onmessage: (event: MessageEvent) => void;
    postMessage(message: unknown): void;
    close(): void;
  };

  /** A file as it was when it was opened. */
  interface Opened {
    readonly path: string;
    readonly file: Deno.FsFile;
    readonly size: number;
    readonly changed: number;
  }

  scope.onmessage = ({ data }) => {
    const files: Opened[] = [];
    // Which of the streamed layers is being read, -1 before any.
    const at = { layer: -1 };
    try {
      feed(data as FeederStart, files, at);
      scope.postMessage({ type: "stopped" });
    } catch (error) {
      const { message } = error as Error;
      scope.postMessage({ type: "failed", message, layer: at.layer });
    } finally {
      for (const { file } of files) file.close();
      scope.close();
    }
  };

  function open(path: string): Opened {
    const file = Deno.openSync(path);
    const { size, mtime } = file.statSync();
    return { path, file, size, changed: mtime?.getTime() ?? 0 };
  }

  /** What is read of a file that changes belongs to no model. */
  function check({ path, file, size, changed }: Opened): void {
    const now = file.statSync();
    if (now.size === size && (now.mtime?.getTime() ?? 0) === changed) return;
    throw new Error(
      `"${path}" changed while the model was in use: ${size} bytes of ${
        new Date(changed).toISOString()
      } are wanted, it has ${now.size} of ${now.mtime?.toISOString()}`,
    );
  }

  /** Fills slots until `failed` is set. */
  function feed(
    start: FeederStart,
    files: Opened[],
    at: { layer: number },
  ): void {
    const { names: w, base, slotBytes, depth, tasks, hosts, copyBytes, queue } =
      start;
    const buffer = start.memory.buffer as unknown as SharedArrayBuffer;
    const words = new Int32Array(buffer, start.words, start.wordCount);
    const device = new Uint8Array(buffer);
    const host = hosts.map((b) => new Uint8Array(b));
    const { memory } = start;
    const instance = new WebAssembly.Instance(start.module, {
      env: { memory },
    });
    const kernels = instance.exports as unknown as PackKernels;
    const read = taskReader(kernels, buffer, start.space);
    for (const path of start.paths) files.push(open(path));
    scope.postMessage({ type: "ready" });
    const fromHost = host.length > 0;
    const layers = fromHost ? host.length : tasks.length;
    const chunksOf = (k: number): number =>
      fromHost ? Math.ceil(host[k]!.length / copyBytes) : tasks[k]!.length;

    const lock = (): void => {
      while (Atomics.compareExchange(words, w.lock, 0, 1) !== 0) {
        Atomics.wait(words, w.lock, 1, 1);
      }
    };
    const unlock = (): void => {
      Atomics.store(words, w.lock, 0);
      Atomics.notify(words, w.lock, 1);
    };
    const ring = (): void => {
      Atomics.add(words, w.bell, 1);
      Atomics.notify(words, w.bell);
    };
    const chunk = (k: number, c: number, slot: number): void => {
      const to = base + slot * slotBytes;
      if (fromHost) {
        const from = c * copyBytes;
        device.set(host[k]!.subarray(from, from + copyBytes), to + from);
        return;
      }
      const task = tasks[k]![c]!, { path, file } = files[task.file]!;
      try {
        read(task, file, to + task.w);
      } catch (error) {
        throw new Error(`"${path}": ${(error as Error).message}`);
      }
    };

    for (;;) {
      const bell = Atomics.load(words, w.bell);
      lock();
      if (words[w.failed] !== 0) return unlock();
      const fill = words[w.fill]!, c = words[w.chunk]!;
      const ahead = (fill - Atomics.load(words, w.released)) | 0;
      const request = queue && queue.at + (fill & (queue.capacity - 1)) * 2;
      const k = words[request ?? w.layer]!;
      const slot = words[request === undefined ? w.slot : request + 1]!;
      const left = w.slots + slot * 2 + 1;
      if (ahead >= (queue ? 0 : depth)) {
        unlock();
        Atomics.wait(words, w.bell, bell, 100);
        continue;
      }
      const chunks = chunksOf(k);
      if (c === 0) words[left] = chunks;
      words[w.chunk] = c + 1;
      if (c + 1 === chunks) {
        words[w.chunk] = 0;
        words[w.fill] = (fill + 1) | 0;
        if (queue === undefined) {
          words[w.layer] = (k + 1) % layers;
          words[w.slot] = (slot + 1) % depth;
        }
      }
      unlock();
      at.layer = k;
      chunk(k, c, slot);
      if (Atomics.sub(words, left, 1) !== 1) continue;
      const used = fromHost ? [] : new Set(tasks[k]!.map((t) => t.file));
      for (const i of used) check(files[i]!);
      lock();
      if (words[w.failed] === 0) {
        Atomics.store(words, w.slots + slot * 2, queue ? 1 : (fill + 1) | 0);
      }
      unlock();
      ring();
    }
  }
}
