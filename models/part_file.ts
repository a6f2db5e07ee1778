/**
 * A file that is not whole yet.
 *
 * ```text
 * NAME.part ── write, write, … ──▶ size and SHA-256 as wanted? ── sync, rename ──▶ NAME
 *     ▲                                      │ no
 *     └── kept when cut off: resumed         └──▶ removed, error
 * ```
 *
 * Nothing called NAME exists before every byte of it is known to be right.
 *
 * @module
 */

import { createHash, type Hash } from "node:crypto";
import { ModelError } from "../core/errors.ts";

/** The part of an open file that writing needs; `Deno.FsFile` is one. */
export interface Sink {
  write(bytes: Uint8Array): Promise<number>;
  truncate(length: number): Promise<void>;
  seek(offset: number, whence: Deno.SeekMode): Promise<number>;
  sync(): Promise<void>;
  close(): void;
}

/** What a whole file must be; what is not said is not checked. */
export interface Expected {
  /** Size in bytes. */
  readonly bytes?: number | undefined;
  /** SHA-256, 64 lower-case hexadecimal digits. */
  readonly sha256?: string | undefined;
}

/** A file that could not be written: trying another source cannot help. */
export class WriteError extends ModelError {}

/** Writes `path.part`, and renames it to `path` when it is whole. */
export class PartFile {
  /** Path of the whole file. */
  readonly path: string;
  #sink: Sink;
  #hash: Hash;
  #bytes: number;
  #closed = false;

  private constructor(path: string, sink: Sink, hash: Hash, bytes: number) {
    this.path = path;
    this.#sink = sink;
    this.#hash = hash;
    this.#bytes = bytes;
  }

  /**
   * Opens `path.part`, keeping and hashing the bytes an earlier attempt left.
   *
   * @throws {WriteError} If it cannot be opened.
   */
  static async open(
    path: string,
    open: (part: string) => Promise<Sink> = openFile,
  ): Promise<PartFile> {
    const part = `${path}.part`;
    const sink = await open(part).catch((error) => refuse(path, 0, error));
    try {
      const hash = createHash("sha256");
      let bytes = 0;
      for await (const chunk of (await Deno.open(part)).readable) {
        hash.update(chunk);
        bytes += chunk.length;
      }
      await sink.seek(bytes, Deno.SeekMode.Start);
      return new PartFile(path, sink, hash, bytes);
    } catch (error) {
      sink.close();
      throw error;
    }
  }

  /** How many bytes are there. */
  get bytes(): number {
    return this.#bytes;
  }

  /**
   * Appends `bytes`.
   *
   * @throws {WriteError} If the disk does not take them all.
   */
  async write(bytes: Uint8Array): Promise<void> {
    for (let at = 0; at < bytes.length;) {
      const rest = bytes.subarray(at);
      const n = await this.#sink.write(rest).catch((error) =>
        this.#refuse(error)
      );
      if (n <= 0) this.#refuse(new Error("the file takes no more bytes"));
      this.#hash.update(rest.subarray(0, n));
      this.#bytes += n;
      at += n;
    }
  }

  /** Starts again from nothing. */
  async restart(): Promise<void> {
    if (this.#bytes === 0) return;
    await this.#sink.truncate(0).catch((error) => this.#refuse(error));
    await this.#sink.seek(0, Deno.SeekMode.Start);
    this.#hash = createHash("sha256");
    this.#bytes = 0;
  }

  /**
   * Checks the file, brings it to the disk and gives it its name; a file that is
   * not what was expected is removed.
   *
   * @throws {ModelError} If size or checksum is wrong.
   */
  async finish({ bytes, sha256 }: Expected): Promise<void> {
    const actual = this.#hash.copy().digest("hex");
    const problem = bytes !== undefined && this.#bytes !== bytes
      ? `wrong size, wanted ${bytes} bytes, actual ${this.#bytes}`
      : sha256 !== undefined && actual !== sha256
      ? `wrong checksum, wanted SHA-256 ${sha256}, actual ${actual}`
      : undefined;
    if (problem !== undefined) {
      await this.remove();
      throw new ModelError(
        this.path,
        `${problem}; what was downloaded has been removed`,
      );
    }
    await this.#sink.sync().catch((error) => this.#refuse(error));
    this.close();
    await Deno.rename(`${this.path}.part`, this.path);
  }

  /** Closes the file and deletes what was written. */
  async remove(): Promise<void> {
    this.close();
    await Deno.remove(`${this.path}.part`).catch(() => {});
  }

  /** Closes the file; what was written, if anything, stays for another attempt. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#sink.close();
    if (this.#bytes === 0) tryRemove(`${this.path}.part`);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  #refuse(error: unknown): never {
    refuse(this.path, this.#bytes, error);
  }
}

/** A permission that is not given stays the error that names it. */
function refuse(path: string, bytes: number, error: unknown): never {
  if (error instanceof Deno.errors.NotCapable) throw error;
  const why = error instanceof Error ? error.message : String(error);
  throw new WriteError(
    path,
    `cannot write it after ${bytes} bytes: ${why}; make room in that folder or set ` +
      `QUIRE_HOME to another, then try again`,
    { cause: error },
  );
}

function tryRemove(path: string): void {
  try {
    Deno.removeSync(path);
  } catch {
    // An empty part that stays does no harm.
  }
}

function openFile(part: string): Promise<Sink> {
  return Deno.open(part, { write: true, create: true });
}
