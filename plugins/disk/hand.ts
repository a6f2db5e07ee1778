/**
 * A worker that does what it is asked, seen from here.
 *
 * It is one of `node:worker_threads` since those can be told not to keep the
 * process alive: it does so only while somebody waits for an answer.
 *
 * @module
 */
import { denoFiles } from "./files.ts";
import { ioMain } from "./io.ts";
import type { Answered, Asked, IoRequest } from "./io_types.ts";
import { slotFormat } from "./slot.ts";

/** Carries out requests in the order they come. */
export interface Hand {
  /** What the request is answered by; rejects with what failed. */
  ask<T>(request: IoRequest): Promise<T>;
  /** Ends it; what is asked then is rejected. */
  close(): Promise<void>;
}

/** Pairs answers with requests. */
export class Questions {
  readonly #open = new Map<
    number,
    { resolve(value: unknown): void; reject(error: Error): void }
  >();
  #next = 0;
  #failure: Error | undefined;

  /** How many are not answered. */
  get size(): number {
    return this.#open.size;
  }

  /** Numbers a request and sends it on. */
  ask<T>(request: IoRequest, send: (asked: Asked) => void): Promise<T> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const id = ++this.#next;
      this.#open.set(id, { resolve: resolve as (v: unknown) => void, reject });
      send({ id, request });
    });
  }

  /** Takes an answer. */
  hear({ id, value, error }: Answered): void {
    const asked = this.#open.get(id);
    this.#open.delete(id);
    if (error === undefined) return asked?.resolve(value);
    asked?.reject(
      Object.assign(new Error(error.message), { name: error.name }),
    );
  }

  /** Rejects everything, from now on too. */
  fail(error: Error): void {
    this.#failure ??= error;
    for (const { reject } of this.#open.values()) reject(error);
    this.#open.clear();
  }
}

/** Starts a worker. */
export async function startHand(name: string): Promise<Hand> {
  const { Worker } = await import("node:worker_threads");
  const text = `
    const { parentPort } = require("node:worker_threads");
    const { crc32 } = require("node:zlib");
    const port = {
      listen: (hear) => parentPort.on("message", hear),
      post: (message) => parentPort.postMessage(message),
    };
    (${ioMain})(port, (${denoFiles})(), (${slotFormat})(crc32));
  `;
  const worker = new Worker(text, { eval: true, name });
  const questions = new Questions();
  worker.unref();
  const rest = (): void => {
    if (questions.size === 0) worker.unref();
  };
  worker.on("message", (message: Answered) => {
    questions.hear(message);
    rest();
  });
  const fail = (why: string): void => {
    questions.fail(new Error(`Cannot reach the disk: its worker ${why}`));
    rest();
  };
  worker.on("error", (e: Error) => fail(`stopped: ${e.message}`));
  worker.on("exit", () => fail("is closed"));
  return {
    ask(request) {
      const answer = questions.ask(request, (asked) => {
        worker.ref();
        worker.postMessage(asked);
      });
      return answer as ReturnType<typeof questions.ask<never>>;
    },
    async close() {
      await worker.terminate();
      fail("is closed");
    },
  };
}
