/**
 * What is on its way to the disk. Nobody waits for it: blocks that are more than
 * the queue holds are forgotten, and those in it are read from it.
 *
 * ```text
 *  put, keep ─▶ queue ─▶ batch: slots taken, blocks copied to staging memory
 *                          ─▶ worker: trims, blocks, sync, log ─▶ stored
 * ```
 * One batch is under way at a time.
 *
 * @module
 */
import { type Block, recordOf } from "./block.ts";
import type { Books } from "./books.ts";
import type { Hand } from "./hand.ts";
import type { WriteRequest } from "./io_types.ts";
import { Memories, type Shared } from "./memories.ts";
import { logHead, logRecord, RECORD } from "./log.ts";
import { PAGE, slotPages } from "./slot.ts";

/** Bytes that a batch has, if no block is larger. */
const BATCH = 1 << 22;
/** After so many failures in a row nothing is written for a while. */
const FAILURES = 3;
/** How long, milliseconds. */
const PAUSE = 60_000;

/** What blocks are written with. */
export interface WritesOptions {
  readonly hand: Hand;
  readonly books: Books;
  /** Bytes that may wait. */
  readonly room: number;
  readonly sync: boolean;
  /** Called when files are not there any more. */
  readonly onGone: (segments: readonly string[]) => void;
  /** Called when a batch has failed, and when writing pauses. */
  readonly onFail: (error: Error, paused: boolean) => void;
}

/** The queue and what empties it. */
export class Writes {
  readonly #hand: Hand;
  readonly #books: Books;
  readonly #options: WritesOptions;
  #queue: Block[] = [];
  #waiting = 0;
  #stage = new SharedArrayBuffer(BATCH);
  readonly #memories = new Memories();
  #busy = false;
  #failures = 0;
  #until = 0;
  #logBytes = 0;
  #idle: (() => void)[] = [];
  #woken = false;
  /** Bytes of blocks written. */
  bytes = 0;
  /** Blocks that there was no room for, in the queue or on disk, or that failed. */
  forgotten = 0;

  constructor(options: WritesOptions) {
    this.#options = options;
    this.#hand = options.hand;
    this.#books = options.books;
  }

  /** Of the log on disk. */
  get logBytes(): number {
    return this.#logBytes;
  }

  /** Writes a new log that says what the books say; the old one is gone then. */
  async compact(): Promise<void> {
    const records = this.#books.snapshot();
    this.#books.records = [];
    const bytes = new Uint8Array(RECORD * (records.length + 1));
    bytes.set(logHead());
    records.forEach((r, i) => bytes.set(logRecord(r), RECORD * (i + 1)));
    const { sync } = this.#options;
    await this.#hand.ask({ type: "log", bytes, sync });
    this.#logBytes = bytes.length;
  }

  /** Takes a block that has its bytes; false: forgotten. */
  add(added: Block): boolean {
    if (this.#isFull(added) || performance.now() < this.#until) {
      this.#forget(added);
      return false;
    }
    this.#waiting += added.length;
    this.#queue.push(added);
    if (!this.#woken) {
      this.#woken = true;
      // Others of the same moment come along.
      queueMicrotask(() => {
        this.#woken = false;
        this.#start();
      });
    }
    return true;
  }

  /** What was dropped meanwhile takes no room any more. */
  #isFull({ length }: Block): boolean {
    const { room } = this.#options;
    if (this.#waiting + length <= room) return false;
    this.#queue = this.#queue.filter((b) => !b.gone);
    this.#waiting = this.#queue.reduce((sum, b) => sum + b.length, 0);
    return this.#waiting + length > room;
  }

  /** Does what the books want done, though no block came. */
  wake(): void {
    this.#start();
  }

  /** Resolves when nothing waits any more. */
  idle(): Promise<void> {
    if (!this.#busy && this.#queue.length === 0) return Promise.resolve();
    return new Promise((resolve) => this.#idle.push(resolve));
  }

  #start(): void {
    if (this.#busy) return;
    const batch = this.#next();
    const trims = this.#books.trims.length > 0 && this.#failures === 0;
    if (batch.length > 0 || trims) {
      this.#busy = true;
      this.#send(batch).then(() => {
        this.#busy = false;
        this.#start();
      });
    } else this.#idle.splice(0).forEach((resolve) => resolve());
  }

  /** Takes as many from the queue as a batch has, each with a slot. */
  #next(): Block[] {
    const batch: Block[] = [];
    let bytes = 0, taken = 0;
    for (const next of this.#queue) {
      const size = PAGE * slotPages(next.length);
      if (!next.gone && bytes > 0 && bytes + size > BATCH) break;
      taken++;
      this.#waiting -= next.length;
      if (next.gone) continue;
      if (this.#books.take(next)) {
        bytes += size;
        batch.push(next);
      } else this.#forget(next);
    }
    this.#queue.splice(0, taken);
    if (bytes > this.#stage.byteLength) {
      this.#stage = new SharedArrayBuffer(bytes);
    }
    return batch;
  }

  async #send(batch: readonly Block[]): Promise<void> {
    const { trims, records } = this.#books;
    try {
      const request = this.#request(batch);
      await this.#hand.ask(request);
      this.#logBytes += request.log.length;
      this.#failures = 0;
      const gone = request.trims.filter((t) => t.bytes === 0);
      if (gone.length > 0) this.#options.onGone(gone.map((t) => t.segment));
      for (const done of batch) {
        this.bytes += done.length;
        this.#books.written(done);
      }
      if (this.#books.longLog(this.#logBytes)) await this.compact();
    } catch (e) {
      for (const failed of batch) {
        if (!failed.stored) this.#forget(failed);
      }
      if (this.#books.trims !== trims) this.#books.trims.unshift(...trims);
      this.#books.records.unshift(...records.filter((r) => !r.place));
      this.#fail(e as Error);
    }
  }

  #request(batch: readonly Block[]): WriteRequest {
    const { sync } = this.#options;
    const stage = new Uint8Array(this.#stage);
    const shared: Shared = { fresh: [], stale: [] };
    const memory = this.#memories.id(this.#stage, shared);
    let at = 0;
    const jobs = batch.map((next) => {
      const { segment, slot, length, key, print, keyed, bytes } = next;
      const { name, number, pages } = segment!;
      const size = PAGE * pages;
      stage.set(bytes!, at + size - PAGE * Math.ceil(length / PAGE));
      const job = { number, pages, slot, length, key, print, keep: keyed };
      at += size;
      return { ...job, segment: name, memory, at: at - size };
    });
    const records = this.#books.records;
    records.push(...batch.filter((b) => b.keyed).map(recordOf));
    const log = new Uint8Array(RECORD * records.length);
    records.forEach((r, i) => log.set(logRecord(r), RECORD * i));
    const { trims } = this.#books;
    this.#books.records = [];
    this.#books.trims = [];
    return { type: "write", shared, trims, jobs, log, sync };
  }

  #forget(lost: Block): void {
    this.#books.drop(lost);
    this.#books.free(lost);
    this.forgotten++;
  }

  #fail(error: Error): void {
    const paused = ++this.#failures >= FAILURES;
    if (paused) {
      this.#until = performance.now() + PAUSE;
      for (const left of this.#queue.splice(0)) this.#forget(left);
      this.#waiting = 0;
    }
    this.#options.onFail(error, paused);
  }
}
