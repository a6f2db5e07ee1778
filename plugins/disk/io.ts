/**
 * What an I/O worker does: it carries out requests, one after the other, and knows
 * nothing of what they are for. `ioMain` is sent to it as text; see `slot.ts`.
 *
 * ```text
 *  1 writer   open → write, write … (data, sync, then the log's records) → close
 *  2 readers  attach → read, read …                                      → close
 * ```
 * Blocks go through staging memory that both sides share, so messages are small
 * whatever they carry.
 *
 * @module
 */
import type { FileHandle, Files } from "./files.ts";
import type {
  IoRequest,
  Opened,
  Port,
  ReadJob,
  ReadRequest,
  SlotJob,
  Tail,
  WriteRequest,
} from "./io_types.ts";
import type { Shared } from "./memories.ts";
import type { SlotFormat } from "./slot.ts";

/** Body of an I/O worker. */
export function ioMain(port: Port, files: Files, format: SlotFormat): void {
  const LOG = "index.log", PAGE = 4096, PIECE = 1 << 18;
  const segments = new Map<string, FileHandle>();
  const memories = new Map<number, SharedArrayBuffer>();
  let folder = "";
  let lock: FileHandle | undefined;
  let log: FileHandle | undefined;
  let logBytes = 0;
  let scratch = new Uint8Array(PAGE);

  port.listen(({ id, request }) => {
    try {
      port.post({ id, value: serve(request) });
    } catch (e) {
      const { name, message } = e as Error;
      port.post({ id, error: { name, message } });
    }
  });

  function serve(request: IoRequest): unknown {
    switch (request.type) {
      case "open":
        return open(request.folder, request.by);
      case "attach":
        return void (folder = request.folder);
      case "read":
        return sharing(request.shared, () => read(request));
      case "write":
        return sharing(request.shared, () => write(request));
      case "log":
        return replaceLog(request.bytes, request.sync);
      case "tail":
        return tail(request.head, request.from);
      case "forget":
        return forget(request.segments);
      case "close":
        return close();
    }
  }

  function sharing<T>({ fresh, stale }: Shared, work: () => T): T {
    for (const { id, memory } of fresh) memories.set(id, memory);
    try {
      return work();
    } finally {
      for (const id of stale) memories.delete(id);
    }
  }

  function memory({ memory, at }: SlotJob, bytes: number): Uint8Array {
    return new Uint8Array(memories.get(memory)!, at, bytes);
  }

  function open(path: string, by: string): Opened {
    folder = path;
    files.makeFolder(folder);
    const file = files.open(`${folder}/lock`, "keep");
    if (!file.lock()) {
      const holder = said(file);
      file.close();
      return { writer: false, holder, log: readLog(), segments: [] };
    }
    lock = file;
    file.truncate(0);
    file.write(0, new TextEncoder().encode(by));
    const names = files.list(folder);
    for (const name of names) {
      if (/^[\w.-]+\.(seg|log)\.new$/.test(name)) {
        files.remove(`${folder}/${name}`);
      }
    }
    return {
      writer: true,
      holder: by,
      log: readLog(),
      segments: names.filter((name) => name.endsWith(".seg")).map((name) => {
        const segment = files.open(`${folder}/${name}`, "read");
        const bytes = segment.size();
        segment.close();
        return { name, bytes };
      }),
    };
  }

  /** What a locked file says, where the system lets it be read. */
  function said(file: FileHandle): string {
    try {
      return new TextDecoder().decode(all(file));
    } catch {
      return "";
    }
  }

  function all(file: FileHandle): Uint8Array {
    const bytes = new Uint8Array(file.size());
    return bytes.subarray(0, file.read(0, bytes));
  }

  function readLog(): Uint8Array {
    if (!files.list(folder).includes(LOG)) return new Uint8Array();
    const file = files.open(`${folder}/${LOG}`, "read");
    const bytes = all(file);
    file.close();
    return bytes;
  }

  function tail(head: Uint8Array, from: number): Tail {
    const file = files.open(`${folder}/${LOG}`, "read");
    try {
      const now = new Uint8Array(head.length);
      file.read(0, now);
      const same = head.length > 0 && now.every((byte, i) => byte === head[i]);
      if (!same) return { from: 0, bytes: all(file) };
      const bytes = new Uint8Array(Math.max(0, file.size() - from));
      return { from, bytes: bytes.subarray(0, file.read(from, bytes)) };
    } finally {
      file.close();
    }
  }

  /** Writes a file beside the one of that name and puts it in its place. */
  function place(name: string, bytes: Uint8Array, sync: boolean): void {
    const path = `${folder}/${name}.new`;
    const file = files.open(path, "create");
    try {
      file.write(0, bytes);
      if (sync) file.sync();
    } finally {
      file.close();
    }
    files.rename(path, `${folder}/${name}`);
  }

  function replaceLog(bytes: Uint8Array, sync: boolean): void {
    log?.close();
    log = undefined;
    place(LOG, bytes, sync);
    logBytes = bytes.length;
  }

  /** At its known end, so that half a record of a failed write is written over. */
  function append(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    log ??= files.open(`${folder}/${LOG}`, "keep");
    log.write(logBytes, bytes);
    logBytes += bytes.length;
  }

  function hasHead(file: FileHandle, head: Uint8Array): boolean {
    const found = new Uint8Array(head.length);
    file.read(0, found);
    return found.every((byte, i) => byte === head[i]);
  }

  /** To read; undefined where there is none that is what it should be. */
  function segment(job: SlotJob): FileHandle | undefined {
    const known = segments.get(job.segment);
    if (known !== undefined) return known;
    let file: FileHandle;
    try {
      file = files.open(`${folder}/${job.segment}`, "read");
    } catch {
      return undefined;
    }
    if (hasHead(file, format.segmentHead(job.number, job.pages))) {
      segments.set(job.segment, file);
      return file;
    }
    file.close();
    return undefined;
  }

  /** To write; made where there is none. */
  function writable(job: SlotJob, sync: boolean): FileHandle {
    const known = segments.get(job.segment);
    if (known !== undefined) return known;
    const head = format.segmentHead(job.number, job.pages);
    if (!files.list(folder).includes(job.segment)) {
      place(job.segment, head, sync);
    }
    const file = files.open(`${folder}/${job.segment}`, "keep");
    if (!hasHead(file, head)) file.write(0, head);
    segments.set(job.segment, file);
    return file;
  }

  function room(bytes: number): Uint8Array {
    if (scratch.length < bytes) scratch = new Uint8Array(bytes);
    return scratch.subarray(0, bytes);
  }

  function read({ jobs }: ReadRequest): Uint8Array {
    return Uint8Array.from(jobs, (job) => {
      try {
        const file = segment(job);
        if (file === undefined) return 2;
        const out = memory(job, job.bytes);
        return readSlot(file, job, out) ? 1 : 0;
      } catch {
        return 0;
      }
    });
  }

  function readSlot(file: FileHandle, job: ReadJob, out: Uint8Array): boolean {
    const { length, from, bytes } = job;
    const headBytes = format.headBytes(length);
    const at = format.slotAt(job.pages, job.slot);
    const first = Math.floor(from / PAGE) * PAGE;
    const last = Math.min(Math.ceil((from + bytes) / PAGE) * PAGE, length);
    const straight = first === from && last === from + bytes;
    const space = room(headBytes + (straight ? 0 : last - first));
    const head = space.subarray(0, headBytes);
    if (file.read(at, head) < headBytes) return false;
    if (!format.matches(head, length, job.key, job.print)) return false;
    const data = straight ? out : space.subarray(headBytes);
    const all = data.length === length;
    let sum = 0;
    // A piece at a time, so that what is summed up is in the cache still.
    for (let n = 0; n < data.length; n += PIECE) {
      const piece = data.subarray(n, n + PIECE);
      const where = at + headBytes + first + n;
      if (file.read(where, piece) < piece.length) return false;
      if (all) sum = format.crc(piece, sum);
      else if (!format.pagesWhole(head, (first + n) / PAGE, piece)) {
        return false;
      }
    }
    if (all && !format.whole(head, sum)) return false;
    if (!straight) out.set(data.subarray(from - first, from - first + bytes));
    return true;
  }

  function write({ trims, jobs, log, sync }: WriteRequest): void {
    for (const { segment: name, bytes } of trims) {
      if (bytes === 0) {
        forget([name]);
        files.remove(`${folder}/${name}`);
      } else trim(name, bytes);
    }
    const written = new Set<FileHandle>();
    for (const job of jobs) {
      const file = writable(job, sync);
      const head = format.headBytes(job.length);
      const slot = memory(job, head + job.length);
      format.seal(
        slot.subarray(0, head),
        slot.subarray(head),
        job.key,
        job.print,
      );
      file.write(format.slotAt(job.pages, job.slot), slot);
      if (job.keep) written.add(file);
    }
    if (sync) { for (const file of written) file.sync(); }
    append(log);
  }

  function trim(name: string, bytes: number): void {
    const path = `${folder}/${name}`;
    const file = segments.get(name) ?? files.open(path, "keep");
    if (file.size() > bytes) file.truncate(bytes);
    if (segments.get(name) === undefined) file.close();
  }

  function forget(names: readonly string[] | "all"): void {
    for (const name of names === "all" ? [...segments.keys()] : names) {
      segments.get(name)?.close();
      segments.delete(name);
    }
  }

  function close(): void {
    try {
      log?.sync();
    } finally {
      forget("all");
      log?.close();
      lock?.close();
      log = lock = undefined;
    }
  }
}
