/**
 * Weights on their way from the file: those that stay, once, and what feeders need
 * for the others.
 *
 * @module
 */
import { FEEDERS, type FeedersOptions } from "./feeders.ts";
import { lines } from "./kernels.ts";
import type { Ring, Weights } from "./load.ts";
import type { WasmMemory } from "./memory.ts";
import { ringWordBytes } from "./ring.ts";
import type { Space } from "./space.ts";
import type { LoadTask, ReaderSpace } from "./task_reader.ts";
import type { Workers } from "./workers.ts";

/** What `readWeights()` looks at; see `WasmOptions`. */
export interface ReadOptions {
  readonly paths: readonly string[];
  readonly onStarted?: (() => void) | undefined;
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Reads what is read once. The space that takes is given back. */
export async function readWeights(
  { paths, onStarted, onProgress, signal }: ReadOptions,
  memory: WasmMemory,
  workers: Workers,
  weights: Weights,
  threads: number,
): Promise<void> {
  const { tasks } = weights;
  const decoding = decodingBytes(weights);
  const staging = lines(Math.max(0, ...tasks.map((t) => t.bytes)));
  const each = staging + decoding + packedBytes(tasks);
  const spans = Array.from({ length: threads }, () => memory.alloc(each));
  try {
    const spaces = spans.map((span) => {
      if (span === undefined) {
        throw new RangeError(
          `Cannot load the model: ${each} bytes of staging for each of ${threads} workers wanted, raise "budget"`,
        );
      }
      const at = span.offset + staging;
      return {
        staging: span.offset,
        decoding: decodingAt(weights, at),
        packed: at + decoding,
        hosts: weights.ring?.hosts ?? [],
      };
    });
    const total = tasks.reduce((sum, t) => sum + t.bytes, 0);
    const started = new AbortController();
    const loading = workers.load(
      paths,
      tasks,
      spaces,
      (done) => onProgress?.(Math.round(total * done / tasks.length), total),
      AbortSignal.any([
        started.signal,
        ...signal === undefined ? [] : [signal],
      ]),
    );
    try {
      onStarted?.();
    } catch (error) {
      // The workers write to the staging space until they have heard of it.
      started.abort(error);
    }
    await loading;
  } finally {
    for (const span of spans) if (span !== undefined) memory.free(span);
  }
}

/** Bytes a worker needs for tasks that it packs for the host. */
function packedBytes(tasks: readonly LoadTask[]): number {
  const packed = tasks.map((t) => t.host === undefined ? 0 : t.packed);
  return lines(Math.max(0, ...packed));
}

/** Bytes of a feeder's records. */
const RECORD = 128;

/** Takes what feeders need; undefined where nothing is streamed. */
export function takeFeeding(
  space: Space,
  weights: Weights,
): Omit<FeedersOptions, "module" | "memory" | "paths"> | undefined {
  const { ring } = weights;
  if (ring === undefined) return undefined;
  const take = (bytes: number): number =>
    space.take("workspace", "weight streaming", bytes);
  const words = take(ringWordBytes(ring));
  const staging = stagingOf(ring);
  const spaces = Array.from({ length: FEEDERS }, (): ReaderSpace => {
    const at = take(RECORD + staging + decodingBytes(weights));
    return {
      record: at,
      staging: at + RECORD,
      decoding: decodingAt(weights, at + RECORD + staging),
    };
  });
  return { ring, words, spaces };
}

function decodingBytes({ decoding }: Weights): number {
  return decoding.reduce((sum, bytes) => sum + bytes, 0);
}

/** The parts of a worker's space to decode in, which begins at `at`. */
function decodingAt(
  { decoding: [lanes, rows] }: Weights,
  at: number,
): ReaderSpace["decoding"] {
  return [at, at + lanes, at + lanes + rows];
}

/** Bytes of the largest task that is read again and again. */
function stagingOf({ from, layers }: Pick<Ring, "from" | "layers">): number {
  if (from === "host") return 0;
  return lines(
    Math.max(0, ...layers.flatMap((l) => l.tasks.map((t) => t.bytes))),
  );
}
