/**
 * Blocks on their way from the disk. Somebody waits for each, so they never stand
 * behind what is written; several are under way at once.
 *
 * ```text
 *  get, read, slice ─▶ queue ─▶ messages of some blocks ─▶ 2 workers read and check
 *       out ◀── copied ◀── staging memory, two messages a worker ◀──┤
 *       out ◀── where it is shared memory itself, without a copy ◀──┘
 * ```
 * What takes too long is lost, but for blocks that go straight to where they are
 * wanted: they would be written where something else may be by then.
 *
 * @module
 */
import type { Hand } from "./hand.ts";
import type { ReadJob } from "./io_types.ts";
import { Memories, type Shared } from "./memories.ts";

/** Bytes of a message, if no block is larger. */
const MESSAGE = 1 << 22;
/** Messages that a worker has at a time: one to read, one to go on with. */
const AHEAD = 2;

/** A read without the memory for it. */
export type ReadPlace = Omit<ReadJob, "at" | "memory">;

/** What became of a block: "bad" is the whole segment. */
export type Found = "ok" | "lost" | "bad";

/** One that is waited for. */
interface Wanted {
  readonly place: ReadPlace;
  readonly out: Uint8Array;
  readonly done: (found: Found) => void;
}

/** A worker, and staging memory of messages that it has not got. */
interface Reader {
  readonly hand: Hand;
  readonly stages: SharedArrayBuffer[];
  readonly memories: Memories;
  /** Has not answered in time; it gets nothing until it does. */
  late: boolean;
}

/** The queue and those who read. */
export class Reads {
  readonly #readers: readonly Reader[];
  readonly #patience: number;
  readonly #queue: Wanted[] = [];
  #woken = false;
  #closed = false;

  /** `patience`: milliseconds after which what is not there is lost. */
  constructor(hands: readonly Hand[], patience: number) {
    this.#patience = patience;
    this.#readers = hands.map((hand) => ({
      hand,
      stages: Array.from({ length: AHEAD }, () => new SharedArrayBuffer(0)),
      memories: new Memories(),
      late: false,
    }));
  }

  /** Fills `out`. */
  read(place: ReadPlace, out: Uint8Array): Promise<Found> {
    return new Promise((done) => {
      this.#queue.push({ place, out, done });
      if (this.#woken) return;
      this.#woken = true;
      // Others of the same moment come along.
      queueMicrotask(() => {
        this.#woken = false;
        this.#start();
      });
    });
  }

  /** What is not under way is lost, from now on too. */
  close(): void {
    this.#closed = true;
    this.#start();
  }

  #start(): void {
    const ready = this.#readers.filter((r) => !r.late);
    if (this.#closed || ready.length === 0) {
      for (const { done } of this.#queue.splice(0)) done("lost");
      return;
    }
    while (this.#queue.length > 0) {
      const reader = ready.reduce((a, b) =>
        b.stages.length > a.stages.length ? b : a
      );
      const stage = reader.stages.pop();
      if (stage === undefined) return;
      this.#send(reader, stage, this.#next());
    }
  }

  /** As many as a message has: a share of what waits, so that all have work. */
  #next(): Wanted[] {
    const share = Math.ceil(this.#queue.length / this.#readers.length);
    let bytes = 0, count = 0;
    for (const { out } of this.#queue) {
      if (count === share || count > 0 && bytes + out.length > MESSAGE) break;
      bytes += out.length;
      count++;
    }
    return this.#queue.splice(0, count);
  }

  async #send(
    reader: Reader,
    old: SharedArrayBuffer,
    wanted: readonly Wanted[],
  ): Promise<void> {
    const staged = wanted.filter(({ out }) => !isShared(out));
    const bytes = staged.reduce((sum, { out }) => sum + out.length, 0);
    const stage = old.byteLength < bytes ? new SharedArrayBuffer(bytes) : old;
    let at = 0;
    const shared: Shared = { fresh: [], stale: [] };
    const jobs = wanted.map(({ place, out }): ReadJob => {
      const straight = isShared(out);
      const { buffer, byteOffset } = straight ? out : new Uint8Array(stage, at);
      if (!straight) at += out.length;
      const memory = reader.memories.id(buffer as SharedArrayBuffer, shared);
      return { ...place, memory, at: byteOffset };
    });
    const given = new Set<Wanted>();
    const give = (to: readonly Wanted[], found: Uint8Array): void =>
      wanted.forEach((one, i) => {
        if (given.has(one) || !to.includes(one)) return;
        given.add(one);
        const { out, done } = one;
        if (found[i] === 1 && !isShared(out)) {
          out.set(new Uint8Array(stage, jobs[i]!.at, out.length));
        }
        done(found[i] === 1 ? "ok" : found[i] === 2 ? "bad" : "lost");
      });
    const timer = setTimeout(() => {
      reader.late = true;
      give(staged, new Uint8Array());
      this.#start();
    }, this.#patience);
    let found = new Uint8Array();
    try {
      found = await reader.hand.ask({ type: "read", shared, jobs });
    } catch {
      // The worker is no more: all of it is lost.
    }
    clearTimeout(timer);
    give(wanted, found);
    reader.late = false;
    reader.stages.push(stage);
    this.#start();
  }
}

function isShared({ buffer }: Uint8Array): boolean {
  return buffer instanceof SharedArrayBuffer;
}
