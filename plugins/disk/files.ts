/**
 * The file system as the workers see it, so that tests can put another in its
 * place. `denoFiles` is sent to workers as text; see `slot.ts`.
 *
 * @module
 */

/** An open file. Everything is done at once; what fails throws. */
export interface FileHandle {
  /** Fills `into` from `at` on; how many bytes there were. */
  read(at: number, into: Uint8Array): number;
  /** Writes all of it. */
  write(at: number, from: Uint8Array): void;
  size(): number;
  truncate(bytes: number): void;
  /** Returns when what was written outlasts a power cut. */
  sync(): void;
  /** Whether nobody else has it locked; it is until closed, or the process ends. */
  lock(): boolean;
  close(): void;
}

/** Files by their path. */
export interface Files {
  makeFolder(path: string): void;
  /** "create": or empty it where there is one; "keep": or open what there is. */
  open(path: string, how: "read" | "write" | "create" | "keep"): FileHandle;
  /** Names of the files in a folder. */
  list(path: string): string[];
  /** Takes the place of what there is, all at once. */
  rename(from: string, to: string): void;
  /** Nothing happens where there is none. */
  remove(path: string): void;
}

/** Those of the machine. */
export function denoFiles(): Files {
  return {
    makeFolder: (path) => Deno.mkdirSync(path, { recursive: true }),
    open(path, how) {
      const file = Deno.openSync(path, {
        read: true,
        write: how !== "read",
        create: how === "create" || how === "keep",
        truncate: how === "create",
      });
      // Where the file stands, to go on without a seek.
      let stands = 0;
      const seek = (at: number): void => {
        if (at !== stands) stands = file.seekSync(at, 0);
      };
      return {
        read(at, into) {
          seek(at);
          let n = 0;
          while (n < into.length) {
            const got = file.readSync(n === 0 ? into : into.subarray(n));
            if (got === null) break;
            n += got;
            stands += got;
          }
          return n;
        },
        write(at, from) {
          seek(at);
          for (let n = 0; n < from.length;) {
            const put = file.writeSync(n === 0 ? from : from.subarray(n));
            n += put;
            stands += put;
          }
        },
        size: () => file.statSync().size,
        truncate: (bytes) => file.truncateSync(bytes),
        sync: () => file.syncDataSync(),
        lock: () => file.tryLockSync(true),
        close: () => file.close(),
      };
    },
    list: (path) =>
      [...Deno.readDirSync(path)].filter((e) => e.isFile).map((e) => e.name),
    rename(from, to) {
      Deno.renameSync(from, to);
      try {
        const folder = Deno.openSync(to.slice(0, to.lastIndexOf("/") + 1));
        folder.syncSync();
        folder.close();
      } catch {
        // Not every system lets a folder be opened.
      }
    },
    remove(path) {
      try {
        Deno.removeSync(path);
      } catch (e) {
        if (!(e instanceof Deno.errors.NotFound)) throw e;
      }
    },
  };
}
