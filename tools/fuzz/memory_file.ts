/**
 * Files that are bytes in memory.
 *
 * @module
 */
import { ModelError } from "../../core/errors.ts";
import type { ByteFile, OpenFile } from "../../models/gguf/source.ts";
import type { Sample } from "./target.ts";

class MemoryFile implements ByteFile {
  readonly #bytes: Uint8Array;
  #at = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  readSync(out: Uint8Array): number | null {
    const from = this.#bytes.subarray(this.#at, this.#at + out.length);
    if (from.length === 0 && out.length > 0) return null;
    out.set(from);
    this.#at += from.length;
    return from.length;
  }

  seekSync(offset: number): number {
    if (!Number.isSafeInteger(offset) || offset < 0) {
      throw new TypeError(`Cannot go to byte ${offset}`);
    }
    return this.#at = offset;
  }

  [Symbol.dispose](): void {}
}

/** Opens the files of a sample. */
export function openSample(sample: Sample): OpenFile {
  return (path) => {
    const bytes = sample.get(path);
    if (bytes === undefined) {
      return Promise.reject(new ModelError(path, "there is no such file"));
    }
    return Promise.resolve({ file: new MemoryFile(bytes), size: bytes.length });
  };
}
