/**
 * A file system in memory that fails when a test wants it to.
 *
 * ```text
 *  data     what a process sees
 *  durable  what a power cut leaves; writes since then may be there or not
 * ```
 *
 * @module
 */
import type { FileHandle, Files } from "../files.ts";

interface File {
  data: Uint8Array;
  durable: Uint8Array;
  /** Since it was last synced. */
  writes: { readonly at: number; readonly bytes: Uint8Array }[];
  locked: boolean;
}

/** Thrown by everything from the moment on when the process is killed. */
export class Killed extends Error {}

/** Files by path. */
export class MemoryFiles implements Files {
  readonly files: Map<string, File>;
  /** Changes made so far: writes, cuts, renames, removals, syncs. */
  changes = 0;
  /** At this change the process ends; a write is half done then. */
  killAt = Infinity;
  /** Bytes that all files may have. */
  room = Infinity;
  /** Called before everything; may throw. */
  fault: (action: string, path: string) => void = () => {};
  /** Called after every change. */
  after: () => void = () => {};

  constructor(files: Map<string, File> = new Map()) {
    this.files = files;
  }

  /** Bytes of all files. */
  get bytes(): number {
    let sum = 0;
    for (const { data } of this.files.values()) sum += data.length;
    return sum;
  }

  /** What the next process finds; `cut`: chooses what a power cut leaves. */
  next(cut?: () => boolean): MemoryFiles {
    const files = new Map<string, File>();
    for (const [path, file] of this.files) {
      let data: Uint8Array = file.data.slice();
      if (cut !== undefined) {
        data = file.durable.slice();
        for (const { at, bytes } of file.writes) {
          if (cut()) data = over(data, at, bytes);
        }
      }
      files.set(path, { data, durable: data, writes: [], locked: false });
    }
    return new MemoryFiles(files);
  }

  makeFolder(path: string): void {
    this.fault("makeFolder", path);
  }

  list(path: string): string[] {
    this.#look("list", path);
    return [...this.files.keys()].filter((p) => p.startsWith(`${path}/`))
      .map((p) => p.slice(path.length + 1));
  }

  rename(from: string, to: string): void {
    this.#change("rename", from);
    const file = this.#file(from);
    this.files.delete(from);
    this.files.set(to, file);
    this.after();
  }

  remove(path: string): void {
    this.#change("remove", path);
    this.files.delete(path);
    this.after();
  }

  open(path: string, how: "read" | "write" | "create" | "keep"): FileHandle {
    this.#look(how, path);
    let found = this.files.get(path);
    if (found === undefined || how === "create") {
      if (how === "read" || how === "write") throw missing(path);
      const none = new Uint8Array();
      found = { data: none, durable: none, writes: [], locked: false };
      this.files.set(path, found);
    }
    const file = found;
    let mine = false;
    return {
      read: (at, into) => {
        this.#look("read", path);
        const part = file.data.subarray(at, at + into.length);
        into.set(part);
        return part.length;
      },
      write: (at, bytes) => {
        const half = this.#change("write", path);
        const { length } = file.data;
        // What there is room for is written, as systems do.
        const most = Math.max(this.room - this.bytes + length, 0) - at;
        const all = half ? bytes.length >> 1 : bytes.length;
        const written = bytes.slice(0, Math.max(0, Math.min(all, most)));
        file.data = over(file.data, at, written);
        file.writes.push({ at, bytes: written });
        if (written.length < all) throw new Error("No space left");
        if (half) throw new Killed();
        this.after();
      },
      size: () => file.data.length,
      truncate: (bytes) => {
        this.#change("truncate", path);
        file.data = file.data.slice(0, bytes);
        file.durable = file.durable.slice(0, bytes);
        file.writes = file.writes.map(({ at, bytes: old }) => ({
          at,
          bytes: old.subarray(0, Math.max(0, bytes - at)),
        })).filter((w) => w.bytes.length > 0);
        this.after();
      },
      sync: () => {
        this.#change("sync", path);
        file.durable = file.data.slice();
        file.writes = [];
      },
      lock: () => {
        if (file.locked) return false;
        return mine = file.locked = true;
      },
      close: () => {
        if (mine) file.locked = false;
      },
    };
  }

  #file(path: string): File {
    const file = this.files.get(path);
    if (file === undefined) throw missing(path);
    return file;
  }

  #look(action: string, path: string): void {
    if (this.changes > this.killAt) throw new Killed();
    this.fault(action, path);
  }

  /** Whether the process ends in the middle of this one. */
  #change(action: string, path: string): boolean {
    this.#look(action, path);
    if (++this.changes <= this.killAt) return false;
    if (action === "write") return true;
    throw new Killed();
  }
}

function over(old: Uint8Array, at: number, bytes: Uint8Array): Uint8Array {
  const out = new Uint8Array(Math.max(old.length, at + bytes.length));
  out.set(old);
  out.set(bytes, at);
  return out;
}

function missing(path: string): Error {
  return new Error(`No such file "${path}"`);
}
