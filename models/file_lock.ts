/**
 * One process at a time for one file.
 *
 * @module
 */

import { setTimeout as delay } from "node:timers/promises";

const POLL_MS = 100;

/** What {@linkcode withLock} takes besides the path and the work. */
export interface LockOptions {
  /** Called once if another process has to be waited for. */
  readonly onWait?: () => void;
  /** Gives up waiting. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * Runs `body` while holding an advisory lock on `path.lock`, which the system drops
 * if the process dies. Whoever had to wait must look again at what `body` makes.
 */
export async function withLock<T>(
  path: string,
  body: () => Promise<T>,
  options: LockOptions = {},
): Promise<T> {
  const name = `${path}.lock`;
  using _file = await acquire(name, options);
  try {
    return await body();
  } finally {
    await Deno.remove(name).catch(() => {});
  }
}

async function acquire(
  name: string,
  { onWait, signal }: LockOptions,
): Promise<Deno.FsFile> {
  for (let waited = false;; waited = true) {
    signal?.throwIfAborted();
    const file = await Deno.open(name, { create: true, write: true });
    if (await file.tryLock(true)) {
      // Its last holder removed the file it locked: only the one under that name now counts.
      const named = await Deno.stat(name).catch(() => undefined);
      if (named?.ino === (await file.stat()).ino) return file;
    }
    file.close();
    if (!waited) onWait?.();
    await delay(POLL_MS);
  }
}
