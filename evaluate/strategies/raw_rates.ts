/**
 * What the machine does with as many bytes in pieces as large: the bound of tiers.
 *
 * @module
 */

/** Bytes per second that one thread copies to memory that workers share. */
export function copyRate(size: number, pieces: number): number {
  const from = Array.from({ length: pieces }, () => new Uint8Array(size));
  const to = new Uint8Array(new SharedArrayBuffer(size * pieces));
  // Both are there before they are timed.
  to.fill(1);
  for (const piece of from) piece.fill(2);
  const started = performance.now();
  for (let i = 0; i < pieces; i++) to.set(from[i]!, i * size);
  return 1000 * size * pieces / (performance.now() - started);
}

/**
 * Has the system forget what it keeps in memory of the files of a folder. False where
 * that is not allowed (`--allow-run=dd`), or dd cannot.
 */
export async function forget(folder: string): Promise<boolean> {
  const run = { name: "run", command: "dd" } as const;
  if ((await Deno.permissions.query(run)).state !== "granted") return false;
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    const path = `${folder}/${name}`;
    if (isDirectory) {
      if (!await forget(path)) return false;
      continue;
    }
    if (!await forgetFile(path)) return false;
  }
  return true;
}

/** The same for one file; `--allow-run=dd` has to be there. */
export async function forgetFile(path: string): Promise<boolean> {
  const { success } = await new Deno.Command("dd", {
    args: [`if=${path}`, "iflag=nocache", "count=0"],
    stdout: "null",
    stderr: "null",
  }).output();
  return success;
}

/**
 * Bytes per second that one worker reads from a file that was just written; `before`
 * runs in between.
 */
export async function fileRate(
  path: string,
  size: number,
  pieces: number,
  before?: () => Promise<unknown>,
): Promise<number> {
  const bytes = new Uint8Array(size);
  using file = await Deno.open(path, {
    write: true,
    create: true,
    truncate: true,
  });
  for (let i = 0; i < pieces; i++) {
    for (let n = 0; n < size;) n += await file.write(bytes.subarray(n));
  }
  file.syncDataSync();
  await before?.();
  const text = `(${readAll.toString()})()`;
  const url = URL.createObjectURL(
    new Blob([text], { type: "text/javascript" }),
  );
  const worker = new Worker(url, { type: "module" });
  try {
    const done = new Promise<number>((resolve, reject) => {
      worker.onmessage = ({ data }) => resolve(data);
      worker.onerror = (e) => {
        e.preventDefault();
        reject(new Error(e.message));
      };
    });
    const to = new SharedArrayBuffer(size * pieces);
    new Uint8Array(to).fill(1);
    worker.postMessage({ path, size, pieces, to });
    return 1000 * size * pieces / await done;
  } finally {
    worker.terminate();
    URL.revokeObjectURL(url);
  }
}

/** Runs in a worker, as text. */
function readAll(): void {
  const scope = globalThis as unknown as Worker;
  scope.onmessage = ({ data }: MessageEvent): void => {
    const { path, size, pieces, to } = data as {
      path: string;
      size: number;
      pieces: number;
      to: SharedArrayBuffer;
    };
    const file = Deno.openSync(path);
    const started = performance.now();
    for (let i = 0; i < pieces; i++) {
      const piece = new Uint8Array(to, i * size, size);
      for (let n = 0; n < size;) n += file.readSync(piece.subarray(n)) ?? size;
    }
    const took = performance.now() - started;
    file.close();
    scope.postMessage(took);
  };
}
