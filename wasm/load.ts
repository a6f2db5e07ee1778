/**
 * Placing weights: a span for every tensor, and the list of tasks that fill them.
 *
 * @module
 */
import type { Span } from "../core/allocator.ts";
import type { ModelSpec, TensorInfo } from "../core/model.ts";
import {
  KERNELS,
  type LaneLayout,
  layoutOf,
  lines,
  PANEL,
  panelBytes,
  panelsOf,
} from "./kernels.ts";
import type { WasmMemory } from "./memory.ts";
import type { LoadTask } from "./worker.ts";

/** A matrix in the shared memory. */
export interface Matrix {
  readonly tensor: TensorInfo;
  readonly layout: LaneLayout;
  readonly panels: number;
  /** Its address. */
  readonly w: number;
}

/** All weights: matrices in lane layouts, vectors as plain f32. */
export interface Weights {
  readonly matrices: ReadonlyMap<string, Matrix>;
  readonly vectors: ReadonlyMap<string, number>;
  readonly tasks: readonly LoadTask[];
  /** Bytes of all of them. */
  readonly bytes: number;
  /** Bytes one worker needs to read a task's rows. */
  readonly staging: number;
  /** Bytes one worker needs to decode a panel: in its layout, and as f32 rows. */
  readonly decoding: readonly [number, number];
}

/** Rows are read about this many bytes at a time. */
const CHUNK = 1 << 20;

/** Memory ran out while loading; the message has the numbers. */
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
  const tasks: LoadTask[] = [];
  let bytes = 0, staging = 0;
  const decoding: [number, number] = [0, 0];
  for (const name of names(spec)) {
    if (matrices.has(name) || vectors.has(name)) continue;
    const tensor = spec.tensors.get(name)!;
    const { id, values, bytes: blockBytes, layout } = KERNELS[tensor.type];
    const rowBytes = tensor.inputs / values * blockBytes;
    const vector = tensor.outputs === 1;
    const target = layoutOf(tensor, exact), panels = panelsOf(tensor.outputs);
    const panel = panelBytes(target, tensor.inputs);
    const size = vector ? tensor.inputs * 4 : panel * panels;
    const span = take(memory, size, `weights "${name}"`);
    bytes += lines(span.bytes);
    const w = span.offset;
    if (vector) vectors.set(name, w);
    else matrices.set(name, { tensor, layout: target, panels, w });
    if (vector || exact) {
      const own = panelBytes(layout, tensor.inputs);
      decoding[0] = Math.max(decoding[0], lines(own));
      decoding[1] = Math.max(decoding[1], lines(tensor.inputs * 4 * PANEL));
    }
    // Whole groups of four panels, so that no two workers share a cache line.
    const step = Math.max(32, Math.floor(CHUNK / rowBytes / 32) * 32);
    for (let row = 0; row < tensor.outputs; row += step) {
      const rows = Math.min(step, tensor.outputs - row);
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
        w: w + row / PANEL * panel,
      });
    }
  }
  return { matrices, vectors, tasks, bytes, staging, decoding };
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
