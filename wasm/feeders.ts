/**
 * The feeders of one backend: started, watched and stopped from here.
 *
 * @module
 */
import { COPY_BYTES, feederMain, type FeederStart } from "./feeder.ts";
import type { Ring } from "./load.ts";
import type { WeightStat } from "../core/backend.ts";
import { cacheStat, clearCache, wordsOf } from "./expert_cache.ts";
import { ringWordBytes, WORD } from "./ring.ts";
import { type ReaderSpace, taskReader } from "./task_reader.ts";

/** Feeders of a ring: one reads while the other packs. */
export const FEEDERS = 2;

/** How long feeders may take to stop by themselves, milliseconds. */
const PATIENCE = 2000;

/** How feeders are started. Addresses are offsets in the shared memory. */
export interface FeedersOptions {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly ring: Ring;
  /** Address of the ring's words. */
  readonly words: number;
  readonly paths: readonly string[];
  /** One per feeder. */
  readonly spaces: readonly ReaderSpace[];
}

/** Workers that fill the slots of a ring. */
export class Feeders {
  readonly #options: FeedersOptions;
  readonly #words: Int32Array;
  readonly #workers: Worker[] = [];
  /** How many have not said yet that they stopped, or why they failed. */
  #running = 0;
  #failure: Error | undefined;
  #onReady: (() => void) | undefined;
  #onFailure: ((why: Error) => void) | undefined;
  #onStopped: (() => void) | undefined;
  readonly #failed: Promise<Error>;
  #closed: Promise<void> | undefined;

  private constructor(options: FeedersOptions) {
    this.#options = options;
    const { memory, words, ring } = options;
    const length = ringWordBytes(ring) / 4;
    this.#words = new Int32Array(memory.buffer, words, length).fill(0);
    if (ring.most !== undefined) clearCache(this.#words, ring);
    this.#failed = new Promise((resolve) => this.#onFailure = resolve);
  }

  /**
   * Starts the feeders, which begin to fill at once. Rejects where one cannot read
   * the model's files.
   */
  static async start(options: FeedersOptions): Promise<Feeders> {
    const self = new Feeders(options);
    const text = `(${feederMain})(${taskReader})`;
    const url = URL.createObjectURL(
      new Blob([text], { type: "text/javascript" }),
    );
    try {
      let left = options.spaces.length;
      const ready = new Promise<void>((resolve) => {
        self.#onReady = () => --left === 0 ? resolve() : undefined;
      });
      for (const space of options.spaces) self.#begin(url, space);
      const failure = await Promise.race([ready, self.#failed]);
      if (failure !== undefined) throw failure;
    } catch (error) {
      await self.close();
      throw error;
    } finally {
      URL.revokeObjectURL(url);
    }
    return self;
  }

  /** How often experts were there, and what was read; undefined where none come and go. */
  stat(): WeightStat | undefined {
    const { ring } = this.#options;
    return ring.most === undefined ? undefined : cacheStat(this.#words, ring);
  }

  /** Whether no layer comes in any more. */
  get failed(): boolean {
    return Atomics.load(this.#words, WORD.failed) !== 0;
  }

  /** Why, once it has `failed`. */
  failure(): Promise<Error> {
    return this.#failed;
  }

  /** No layer comes in any more; steps that wait for one end. */
  halt(): void {
    const words = this.#words;
    // Feeders hold the lock for moments.
    while (Atomics.compareExchange(words, WORD.lock, 0, 1) !== 0) {
      Atomics.pause();
    }
    Atomics.store(words, WORD.failed, 1);
    Atomics.store(words, WORD.lock, 0);
    Atomics.notify(words, WORD.lock);
    Atomics.add(words, WORD.bell, 1);
    Atomics.notify(words, WORD.bell);
  }

  /** Stops the feeders; steps are over then, or end soon. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#fail(new Error("Cannot compute: the backend was closed"));
    if (this.#running > 0) {
      let timer: ReturnType<typeof setTimeout> | undefined;
      const stopped = new Promise<void>((resolve) => {
        this.#onStopped = resolve;
        timer = setTimeout(resolve, PATIENCE);
      });
      await stopped;
      clearTimeout(timer);
    }
    for (const worker of this.#workers) worker.terminate();
  }

  #begin(url: string, space: ReaderSpace): void {
    const { module, memory, ring, words, paths } = this.#options;
    const worker = new Worker(url, {
      type: "module",
      name: `quire-feeder-${this.#workers.length}`,
    });
    this.#workers.push(worker);
    this.#running++;
    worker.onmessage = ({ data }) => this.#hear(data);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#hear({ type: "failed", message: event.message, layer: -1 });
    };
    const disk = ring.from === "disk";
    const start: FeederStart = {
      module,
      memory,
      words,
      names: WORD,
      base: ring.base,
      slotBytes: ring.slotBytes,
      depth: ring.depth,
      wordCount: this.#words.length,
      queue: ring.most === undefined ? undefined : queueOf(ring),
      paths: disk ? paths : [],
      tasks: disk ? ring.layers.map((l) => l.tasks) : [],
      hosts: ring.hosts,
      copyBytes: COPY_BYTES,
      space,
    };
    worker.postMessage(start);
  }

  #hear(said: { type: string; message?: string; layer?: number }): void {
    if (said.type === "ready") return this.#onReady?.();
    if (said.type === "failed") {
      const item = this.#options.ring.layers[said.layer ?? -1];
      const whose = item?.expert === undefined
        ? `the weights of layer ${item?.layer}`
        : `expert ${item.expert} of layer ${item.layer}`;
      this.#fail(
        new Error(
          item === undefined
            ? `Cannot stream weights: ${said.message}`
            : `Cannot stream ${whose}: ${said.message}; load the model again`,
        ),
      );
    }
    if (--this.#running === 0) this.#onStopped?.();
  }

  #fail(why: Error): void {
    if (this.#failure !== undefined) return;
    this.#failure = why;
    this.halt();
    this.#onFailure?.(why);
  }
}

function queueOf(
  ring: Ring,
): { readonly at: number; readonly capacity: number } {
  const { queue, capacity } = wordsOf(ring);
  return { at: queue, capacity };
}
