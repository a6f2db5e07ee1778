/**
 * The real {@linkcode Host}.
 *
 * @module
 */
import type { Host } from "./host.ts";

/** What {@linkcode writeAll} writes to. */
export interface SyncWriter {
  writeSync(bytes: Uint8Array): number;
}

/** The terminal, pipe or file this process was started with. */
export function terminal(): Host {
  const handlers: (() => void)[] = [];
  const heard = once(() => handlers.at(-1)?.(), () => performance.now());
  return {
    out: (text) => writeAll(Deno.stdout, text),
    err: (text) => {
      try {
        writeAll(Deno.stderr, text);
      } catch (error) {
        if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
      }
    },
    terminal: {
      in: Deno.stdin.isTerminal(),
      out: Deno.stdout.isTerminal(),
      err: Deno.stderr.isTerminal(),
    },
    columns: () => {
      try {
        return Deno.consoleSize().columns;
      } catch {
        return 80;
      }
    },
    lines: () => linesOf(Deno.stdin.readable),
    onInterrupt: (handler) => {
      if (handlers.length === 0) Deno.addSignalListener("SIGINT", heard);
      handlers.push(handler);
      return {
        [Symbol.dispose]: () => {
          handlers.splice(handlers.lastIndexOf(handler), 1);
          if (handlers.length === 0) Deno.removeSignalListener("SIGINT", heard);
        },
      };
    },
    exit: (status) => Deno.exit(status),
    now: () => performance.now(),
    freeMemory,
  };
}

/** Without the permission nothing is asked for: it is a detail. */
function freeMemory(): number | undefined {
  const permission = { name: "sys", kind: "systemMemoryInfo" } as const;
  if (Deno.permissions.querySync(permission).state !== "granted") {
    return undefined;
  }
  return Deno.systemMemoryInfo().available;
}

/** Milliseconds in which signals are echoes of the first. */
const ECHO_MS = 40;

/**
 * Calls `handler` once where one press of Ctrl-C is heard twice: from the
 * terminal, and passed on by whoever runs this program as a task.
 */
export function once(handler: () => void, now: () => number): () => void {
  let last = -Infinity;
  return () => {
    const echo = now() - last < ECHO_MS;
    last = now();
    if (!echo) handler();
  };
}

const PAUSE = new Int32Array(new SharedArrayBuffer(4));

/**
 * Writes a whole text. A pipe that another program made non-blocking may be full
 * for the moment; then it waits.
 */
export function writeAll(writer: SyncWriter, text: string): void {
  let rest = new TextEncoder().encode(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(writer.writeSync(rest));
    } catch (error) {
      if (!(error instanceof Deno.errors.WouldBlock)) throw error;
      Atomics.wait(PAUSE, 0, 0, 2);
    }
  }
}

/** Lines of a stream of UTF-8, without their ends; the last may lack one. */
export async function* linesOf(
  stream: ReadableStream<Uint8Array<ArrayBuffer>>,
): AsyncGenerator<string, undefined> {
  let held = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (held + text).split("\n");
    held = lines.pop()!;
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  if (held !== "") yield held;
}
