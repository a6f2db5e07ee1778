/**
 * A file that is replaced whole or not at all.
 *
 * ```text
 * NAME.part ── written ── sync ── rename ──▶ NAME
 *                │ error
 *                └──▶ removed; NAME is as it was
 * ```
 * Whoever is killed in between leaves NAME as it was, and a part that the next one
 * writes over.
 *
 * @module
 */
import { withLock } from "../models/file_lock.ts";
import type { Sink } from "../models/part_file.ts";

/** Writes to a file that is not there yet. */
export interface Writer {
  /** Appends all of the bytes. */
  append(bytes: Uint8Array): Promise<void>;
  /** Cuts it to a length, and puts bytes in place of its first ones. */
  finish(length: number, first: Uint8Array): Promise<void>;
}

/**
 * Replaces a file by what `body` writes, one process at a time. Only the user may
 * read what is new.
 */
export async function replaceFile<T>(
  path: string,
  body: (writer: Writer) => Promise<T>,
  { signal, open = openPart }: {
    readonly signal?: AbortSignal | undefined;
    readonly open?: (part: string) => Promise<Sink>;
  } = {},
): Promise<T> {
  const part = `${path}.part`;
  return await withLock(path, async () => {
    let done = false;
    try {
      const sink = await open(part);
      let made: T;
      try {
        const append = (bytes: Uint8Array) => writeAll(sink, bytes, signal);
        made = await body({
          append,
          finish: async (length, first) => {
            await sink.truncate(length);
            await sink.seek(0, Deno.SeekMode.Start);
            await append(first);
          },
        });
        await sink.sync();
      } finally {
        sink.close();
      }
      signal?.throwIfAborted();
      await Deno.rename(part, path);
      done = true;
      return made;
    } finally {
      if (!done) await Deno.remove(part).catch(() => {});
    }
  }, { signal });
}

async function writeAll(
  sink: Sink,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (let at = 0; at < bytes.length;) {
    signal?.throwIfAborted();
    const count = await sink.write(bytes.subarray(at));
    if (count <= 0) throw new Error("the file takes no more bytes");
    at += count;
  }
}

function openPart(part: string): Promise<Sink> {
  return Deno.open(part, {
    write: true,
    create: true,
    truncate: true,
    mode: 0o600,
  });
}
