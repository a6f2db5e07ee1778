/**
 * The first bytes of a file, read in growing pieces as far as they are needed.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import { quote } from "./quote.ts";

const FIRST_PIECE = 256 << 10;
/** No header read so far comes near this; a hostile one stops here. */
const MAX_HEADER = 64 << 20;

/** An open file, as far as headers need one: `Deno.FsFile`, or bytes in memory. */
export interface ByteFile extends Disposable {
  /** Reads on from where it stands; null at the end. */
  readSync(out: Uint8Array): number | null;
  /** Goes to a byte, counted from the start. */
  seekSync(offset: number, whence: Deno.SeekMode): number;
}

/** Opens a model's file by its path and says how long it is. */
export type OpenFile = (
  path: string,
) => Promise<{ readonly file: ByteFile; readonly size: number }>;

/** Random access to the start of a file, never past its end. */
export class HeaderSource {
  /** What the user called the file. */
  readonly path: string;
  /** Length of the whole file, bytes. */
  readonly size: number;
  /** What has been read; replaced when it grows. */
  bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  view: DataView = new DataView(this.bytes.buffer);
  readonly #file: ByteFile;

  constructor(path: string, file: ByteFile, size: number) {
    this.path = path;
    this.#file = file;
    this.size = size;
  }

  /**
   * Makes `count` bytes from `at` on readable; `what` names them in the error.
   *
   * @throws {ModelError} if the file ends before, or a header cannot be so long.
   */
  need(at: number, count: number, what: string): void {
    const end = at + count;
    if (end <= this.bytes.length) return;
    if (!(end <= this.size)) {
      throw new ModelError(
        this.path,
        `the file is cut short: ${
          quote(what)
        } needs ${count} bytes at byte ${at}, ` +
          `the file has ${this.size}; get it again`,
      );
    }
    if (end > MAX_HEADER) {
      throw new ModelError(
        this.path,
        `the header is longer than ${MAX_HEADER} bytes, at ${quote(what)}; ` +
          `no model of a known kind needs that`,
      );
    }
    this.#grow(end);
  }

  /** Reads on, at least to `end`, at least doubling what is there. */
  #grow(end: number): void {
    const length = Math.min(
      this.size,
      Math.max(end, this.bytes.length * 2, FIRST_PIECE),
    );
    const bytes = new Uint8Array(length);
    bytes.set(this.bytes);
    for (let at = this.bytes.length; at < length;) {
      const got = this.#file.readSync(bytes.subarray(at));
      if (got === null) {
        throw new ModelError(
          this.path,
          `the file shrank while it was read: wanted ${length} bytes, got ${at}`,
        );
      }
      at += got;
    }
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer);
  }

  /** Reads `out.length` bytes from byte `at` of the file, header or not. */
  readAt(at: number, out: Uint8Array): void {
    this.#file.seekSync(at, Deno.SeekMode.Start);
    for (let done = 0; done < out.length;) {
      const got = this.#file.readSync(out.subarray(done));
      if (got === null) {
        throw new ModelError(
          this.path,
          `the file shrank while it was read: wanted ${out.length} bytes at ` +
            `byte ${at}, got ${done}`,
        );
      }
      done += got;
    }
  }
}
