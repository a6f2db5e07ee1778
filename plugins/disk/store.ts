/**
 * Blocks in a folder: by number while this process lives, by key for longer.
 *
 * One process writes; the folder is locked while it does. Others find and read
 * what there is, follow the log as it grows, and write nothing.
 *
 * @module
 */
import { sha256Text } from "../../core/sha256.ts";
import type { MaybePromise } from "../../core/types.ts";
import { type Block, block } from "./block.ts";
import { Books } from "./books.ts";
import type { Opened, Tail } from "./io_types.ts";
import { isLog, RECORD, replay } from "./log.ts";
import { Reads } from "./reads.ts";
import type { DiskStat, StoreOptions } from "./store_types.ts";
import { Writes } from "./writes.ts";

/** Sixty-four hexadecimal digits for any text; such a text is its own. */
function digits(text: string): string {
  return /^[0-9a-f]{64}$/.test(text) ? text : sha256Text(text);
}

const NO_PRINT = "0".repeat(64);

/** The blocks of a folder. */
export class DiskStore {
  readonly #options: StoreOptions;
  readonly #writer: boolean;
  readonly #reads: Reads;
  readonly #nonce: string;
  #books: Books;
  #writes: Writes | undefined;
  #logHead: Uint8Array = new Uint8Array();
  #logEnd = 0;
  #names = 0;
  readonly #numbered = new Map<number, Block>();
  readonly #prints = new Map<string, string>();
  readonly #count = { reads: 0, readBytes: 0, lost: 0, errors: 0 };
  #used = false;
  #refreshing: Promise<void> | undefined;
  #closed: Promise<void> | undefined;

  private constructor(options: StoreOptions, { writer, log }: Opened) {
    this.#options = options;
    this.#writer = writer;
    this.#reads = new Reads(options.readers, options.patience);
    this.#books = new Books(options.bytes);
    this.#nonce = [...crypto.getRandomValues(new Uint8Array(24))]
      .map((byte) => byte.toString(16).padStart(2, "0")).join("");
    if (!writer) this.#follow({ from: 0, bytes: log });
  }

  /** Opens a folder, which is made where there is none. Throws what is wrong with it. */
  static async open(options: StoreOptions): Promise<DiskStore> {
    const { folder, by, writer, readers, onNote, bytes } = options;
    const opened = await writer.ask<Opened>({ type: "open", folder, by });
    const self = new DiskStore(options, opened);
    for (const hand of readers) await hand.ask({ type: "attach", folder });
    if (opened.writer) await self.#begin(opened);
    else {
      onNote(
        `Reading only: "${folder}" is written to by ${
          opened.holder || "another"
        }; use another folder to write ${bytes} bytes besides`,
      );
    }
    return self;
  }

  /** Takes over what an earlier process has left. */
  async #begin({ log, segments }: Opened): Promise<void> {
    const books = this.#books;
    // What no log names is nobody's; its files go.
    books.adopt(segments);
    if (isLog(log)) { for (const r of replay(log).records) books.apply(r); }
    books.settle();
    const { writer, sync, queue, onNote, folder } = this.#options;
    this.#writes = new Writes({
      hand: writer,
      books,
      room: queue,
      sync,
      onGone: (segments) => this.#forget(segments),
      onFail: ({ message }, paused) => {
        if (this.#count.errors++ === 0 || paused) {
          onNote(
            `Cannot write to "${folder}": ${message}${
              paused ? "; nothing is written for a minute" : ""
            }`,
          );
        }
      },
    });
    await this.#writes.compact();
    this.#writes.wake();
  }

  /** Bytes that blocks put by number may be counted on to have. */
  get capacity(): number {
    return this.#writer ? Math.floor(this.#options.bytes / 8) * 7 : 0;
  }

  /** Keeps a block for as long as this process lives, or forgets it. */
  put(id: number, bytes: Uint8Array): void {
    this.drop(id);
    const key = this.#nonce + (++this.#names).toString(16).padStart(16, "0");
    const fields = { key, print: NO_PRINT, length: bytes.length, bytes };
    const added = block({ ...fields, keyed: false });
    if (this.#add(added)) this.#numbered.set(id, added);
  }

  /** Fills `out` with a block, or with what stands from `at` on. */
  get(id: number, out: Uint8Array, at?: number): MaybePromise<"ok" | "lost"> {
    const wanted = this.#numbered.get(id);
    if (wanted === undefined || wanted.gone) return "lost";
    if (at === undefined && out.length !== wanted.length) return "lost";
    if ((at ?? 0) < 0 || (at ?? 0) + out.length > wanted.length) return "lost";
    return this.#read(wanted, NO_PRINT, at ?? 0, out);
  }

  /** Forgets a block. */
  drop(id: number): void {
    const dropped = this.#numbered.get(id);
    if (dropped === undefined) return;
    this.#numbered.delete(id);
    this.#books.drop(dropped);
  }

  /** Keeps a block under its key, or forgets it. */
  keep(name: string, bytes: Uint8Array, fingerprint: string): void {
    const key = digits(name);
    const there = this.#books.keyed.get(key);
    if (there !== undefined) return this.#books.use(there);
    const print = this.#print(fingerprint);
    const fields = { key, print, length: bytes.length, bytes };
    const added = block({ ...fields, keyed: true });
    if (this.#add(added)) this.#books.keyed.set(key, added);
  }

  /** Which of them are there, 1 or 0 for each. */
  find(names: readonly string[]): MaybePromise<Uint8Array> {
    const keys = names.map(digits);
    const look = (): Uint8Array =>
      Uint8Array.from(keys, (key) => this.#books.keyed.has(key) ? 1 : 0);
    const found = look();
    if (this.#writer || this.#closed || !found.includes(0)) return found;
    this.#refreshing ??= this.#refresh()
      .finally(() => this.#refreshing = undefined);
    return this.#refreshing.then(look);
  }

  /** Fills `out` with the block of a key. */
  read(
    name: string,
    out: Uint8Array,
    fingerprint: string,
  ): MaybePromise<"ok" | "lost"> {
    const wanted = this.#books.keyed.get(digits(name));
    if (wanted === undefined || wanted.length !== out.length) return "lost";
    this.#books.use(wanted);
    this.#used = true;
    return this.#read(wanted, this.#print(fingerprint), 0, out);
  }

  #add(added: Block): boolean {
    if (added.length === 0 || this.#closed !== undefined) return false;
    return this.#writes?.add(added) ?? false;
  }

  #read(
    wanted: Block,
    print: string,
    from: number,
    out: Uint8Array,
  ): MaybePromise<"ok" | "lost"> {
    if (this.#closed !== undefined) return "lost";
    if (wanted.bytes !== undefined) {
      if (wanted.print !== print) return "lost";
      out.set(wanted.bytes.subarray(from, from + out.length));
      return this.#ok(out.length);
    }
    const { segment, slot, length, key } = wanted;
    const { name, number, pages } = segment!;
    const job = { segment: name, number, pages, slot, length, key, print };
    return this.#reads.read({ ...job, from, bytes: out.length }, out)
      .then((found) => {
        if (found === "ok") return this.#ok(out.length);
        this.#count.lost++;
        if (this.#closed !== undefined) return "lost";
        if (found === "bad") this.#books.abandon(segment!);
        else this.#books.drop(wanted);
        this.#writes?.wake();
        if (!this.#writer) this.#books.records = this.#books.trims = [];
        return "lost";
      });
  }

  #ok(bytes: number): "ok" {
    this.#count.reads++;
    this.#count.readBytes += bytes;
    return "ok";
  }

  #print(fingerprint: string): string {
    let print = this.#prints.get(fingerprint);
    if (print === undefined) {
      print = digits(fingerprint);
      if (this.#prints.size === 16) this.#prints.clear();
      this.#prints.set(fingerprint, print);
    }
    return print;
  }

  /** Reads on in the log of the one that writes. */
  async #refresh(): Promise<void> {
    const { writer } = this.#options;
    try {
      this.#follow(
        await writer.ask({
          type: "tail",
          head: this.#logHead,
          from: this.#logEnd,
        }),
      );
    } catch {
      // There is no log, or none that can be read: nothing new is found.
    }
  }

  #follow({ from, bytes }: Tail): void {
    if (from === 0) {
      this.#books = new Books(this.#options.bytes);
      this.#logHead = new Uint8Array();
      this.#logEnd = 0;
      this.#forget("all");
      if (!isLog(bytes)) return;
      this.#logHead = bytes.slice(0, RECORD);
    } else if (from !== this.#logEnd) return;
    const { end, records } = replay(bytes, from === 0 ? RECORD : 0);
    for (const record of records) this.#books.apply(record, true);
    this.#logEnd = from + end;
  }

  /** Those who read close these files. */
  #forget(segments: readonly string[] | "all"): void {
    for (const hand of this.#options.readers) {
      hand.ask({ type: "forget", segments }).catch(() => {});
    }
  }

  /** Bytes of the blocks that can be found by key. */
  get keyedBytes(): number {
    return this.#books.keyedBytes;
  }

  /** What was done, and what there is. */
  stat(): DiskStat {
    return {
      role: this.#writer ? "writer" : "reader",
      blocks: this.#books.keyed.size,
      bytes: this.#books.bytes + (this.#writes?.logBytes ?? 0),
      ...this.#count,
      writtenBytes: this.#writes?.bytes ?? 0,
      evicted: this.#books.evicted,
      forgotten: this.#writes?.forgotten ?? 0,
    };
  }

  /** Resolves when all that was given is on disk, or forgotten. */
  idle(): Promise<void> {
    return this.#writes?.idle() ?? Promise.resolve();
  }

  /** Recounts; throws where the books do not add up. */
  check(): void {
    if (this.#writer) this.#books.check();
  }

  /** Writes what waits, for as long as patience lasts, and lets go of the folder. */
  close(): Promise<void> {
    return this.#closed ??= this.#close();
  }

  async #close(): Promise<void> {
    this.#reads.close();
    for (const id of [...this.#numbered.keys()]) this.drop(id);
    const { writer, readers, patience } = this.#options;
    let timer: ReturnType<typeof setTimeout> | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, patience);
    });
    await Promise.race([this.#finish().catch(() => {}), late]);
    clearTimeout(timer);
    await Promise.all([writer, ...readers].map((hand) => hand.close()));
  }

  async #finish(): Promise<void> {
    await this.idle();
    const changed = this.#used || this.#books.records.length > 0;
    if (changed) await this.#writes?.compact();
    await this.#options.writer.ask({ type: "close" });
  }
}
