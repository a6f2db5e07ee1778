/**
 * Placing weights: a span and its planes for every tensor, and the list of tasks
 * that fill them.
 *
 * @module
 */
import type { Span } from "../core/allocator.ts";
import type { ModelSpec, TensorInfo } from "../core/model.ts";
import {
  KERNELS,
  lines,
  type Planes,
  planesOf,
  planeStrides,
} from "./kernels.ts";
import type { WasmMemory } from "./memory.ts";
import type { LoadTask } from "./worker.ts";

/** A matrix in the shared memory. Addresses, not offsets. */
export interface Matrix {
  readonly tensor: TensorInfo;
  readonly planes: Planes;
  readonly w: number;
  readonly d: number;
  readonly m: number;
  readonly sc: number;
}

/** All weights: matrices in lane layouts, vectors as plain f32. */
export interface Weights {
  readonly matrices: ReadonlyMap<string, Matrix>;
  readonly vectors: ReadonlyMap<string, number>;
  readonly spans: readonly Span[];
  readonly tasks: readonly LoadTask[];
  /** Bytes of all spans. */
  readonly bytes: number;
  /** Bytes one worker needs to read a task's rows. */
  readonly staging: number;
  /** Bytes one worker needs to decode four rows: planes w, d, m, sc, and f32 rows. */
  readonly decoding: readonly [number, number, number, number, number];
}

/** Rows are read about this many bytes at a time. */
const CHUNK = 1 << 20;

/** Thrown by value: how many bytes were wanted and had. */
export class NoRoom extends RangeError {
  override readonly name = "NoRoom";
}

/** Takes `bytes` or says what for. */
export function take(memory: WasmMemory, bytes: number, what: string): Span {
  const span = memory.alloc(bytes);
  if (span !== undefined) return span;
  const { capacity, used, largestFree } = memory.stat();
  throw new NoRoom(
    `Cannot place ${what}: ${bytes} bytes wanted, ${largestFree} free in one piece ` +
      `(${used} of ${capacity} in use); raise "budget" or lower "context"`,
  );
}

/** Places every tensor the model names. Throws {@linkcode NoRoom}. */
export function placeWeights(
  spec: ModelSpec,
  memory: WasmMemory,
  exact: boolean,
): Weights {
  const matrices = new Map<string, Matrix>();
  const vectors = new Map<string, number>();
  const spans: Span[] = [];
  const tasks: LoadTask[] = [];
  let bytes = 0, staging = 0;
  const decoding: [number, number, number, number, number] = [0, 0, 0, 0, 0];
  for (const name of names(spec)) {
    if (matrices.has(name) || vectors.has(name)) continue;
    const tensor = spec.tensors.get(name)!;
    const { id, values, bytes: blockBytes, layout } = KERNELS[tensor.type];
    const rowBytes = tensor.inputs / values * blockBytes;
    const vector = tensor.outputs === 1;
    const planes = planesOf(tensor, exact);
    const size = vector ? tensor.inputs * 4 : planes.bytes;
    const span = take(memory, size, `weights "${name}"`);
    spans.push(span);
    bytes += span.bytes;
    const at = span.offset;
    const matrix: Matrix = {
      tensor,
      planes,
      w: at + planes.w,
      d: at + planes.d,
      m: at + planes.m,
      sc: at + planes.sc,
    };
    if (vector) vectors.set(name, at);
    else matrices.set(name, matrix);
    const own = planeStrides(layout, tensor.inputs);
    if (vector || exact) {
      [own.w, own.d, own.m, own.sc, tensor.inputs * 16].forEach((n, i) => {
        decoding[i] = Math.max(decoding[i]!, lines(n));
      });
    }
    const per = planeStrides(planes.layout, tensor.inputs);
    // Whole groups of eight panels, so that no two workers share a cache line.
    const step = Math.max(32, Math.floor(CHUNK / rowBytes / 32) * 32);
    for (let row = 0; row < tensor.outputs; row += step) {
      const rows = Math.min(step, tensor.outputs - row), panel = row / 4;
      staging = Math.max(staging, rows * rowBytes);
      tasks.push({
        file: tensor.file,
        offset: tensor.offset + row * rowBytes,
        bytes: rows * rowBytes,
        rows,
        rowBytes,
        inputs: tensor.inputs,
        type: id,
        kind: layout.kind,
        form: vector ? "plain" : exact ? "f32" : "lanes",
        w: matrix.w + panel * per.w,
        d: matrix.d + panel * per.d,
        m: matrix.m + panel * per.m,
        sc: matrix.sc + panel * per.sc,
      });
    }
  }
  return { matrices, vectors, spans, tasks, bytes, staging, decoding };
}

function* names(spec: ModelSpec): Generator<string> {
  yield spec.embedding;
  for (const layer of spec.layers) {
    for (const name of Object.values(layer.tensors)) {
      if (name !== undefined) yield name;
    }
    if (layer.rope.factors !== undefined) yield layer.rope.factors;
  }
  yield spec.outputNorm;
  yield spec.output;
}
