/**
 * Keys and values into blocks, and attention over them.
 *
 * @module
 */
import { rawFloats } from "../defaults.ts";
import type { BlockShape } from "../types.ts";
import { blockIndex, type KeyOrValue } from "./block_layout.ts";
import { capped } from "./soft_cap.ts";

/** The blocks of one sequence as one layer sees them. */
export interface LayerBlocks {
  /** The whole device memory. */
  readonly memory: Float32Array;
  /** Byte offset of each block of the sequence, in order; 0: released. */
  readonly table: Uint32Array;
  readonly shape: BlockShape;
  /** Which of the block's layers this is. */
  readonly layerInBlock: number;
}

/** What a row sees: [first, sink) and [start, position]. */
export interface Visible {
  /** Default 0. */
  readonly first?: number;
  readonly position: number;
  readonly start: number;
  readonly sink: number;
}

/** Writes one row's K and V (kvHeads × headDim each) to its place. */
export function append(
  blocks: LayerBlocks,
  position: number,
  k: Float32Array,
  v: Float32Array,
): void {
  const { memory, shape } = blocks;
  for (let head = 0; head < shape.kvHeads; head++) {
    const from = head * shape.headDim;
    const to = from + shape.headDim;
    memory.set(k.subarray(from, to), place(blocks, 0, head, position));
    memory.set(v.subarray(from, to), place(blocks, 1, head, position));
  }
}

/**
 * Attention of one row: for each of the query's heads, softmax over what it
 * sees of q·k * `scale`, under the soft `cap`, then the weighted sum of the
 * values, to `out`.
 *
 * `q` and `out` are qHeads × headDim. Query heads share key heads in runs:
 * with 6 query and 2 key heads, 0..2 use 0 and 3..5 use 1. Two passes, double
 * precision throughout. `sinkQ` stands for `q` where positions below the sink
 * are scored.
 */
export function attend(
  blocks: LayerBlocks,
  visible: Visible,
  q: Float32Array,
  scale: number,
  out: Float32Array,
  sinkQ?: Float32Array,
  cap?: number,
): void {
  const { memory, shape: { kvHeads, headDim } } = blocks;
  const positions = visiblePositions(visible);
  const group = q.length / headDim / kvHeads;
  const weights = new Float64Array(positions.length);
  const sum = new Float64Array(headDim);
  for (let from = 0; from < q.length; from += headDim) {
    const head = Math.floor(from / headDim / group);
    let max = -Infinity;
    for (let i = 0; i < positions.length; i++) {
      const k = place(blocks, 0, head, positions[i]!);
      const x = positions[i]! < visible.sink ? sinkQ ?? q : q;
      let dot = 0;
      for (let d = 0; d < headDim; d++) dot += x[from + d]! * memory[k + d]!;
      weights[i] = capped(dot * scale, cap);
      max = Math.max(max, weights[i]!);
    }
    let total = 0;
    sum.fill(0);
    for (let i = 0; i < positions.length; i++) {
      const weight = Math.exp(weights[i]! - max);
      total += weight;
      const v = place(blocks, 1, head, positions[i]!);
      for (let d = 0; d < headDim; d++) sum[d]! += weight * memory[v + d]!;
    }
    for (let d = 0; d < headDim; d++) out[from + d] = sum[d]! / total;
  }
}

/** Each position once, ascending, where the sink runs into the window too. */
function visiblePositions(
  { position, start, sink, first = 0 }: Visible,
): Int32Array {
  const end = Math.min(Math.max(sink, 0), position + 1);
  const sinks = Math.max(end - first, 0);
  const from = Math.max(start, end);
  const recent = Math.max(position + 1 - from, 0);
  return Int32Array.from(
    { length: sinks + recent },
    (_, i) => i < sinks ? first + i : from + i - sinks,
  );
}

/** Index into the memory of a head of a position. */
function place(
  { memory, table, shape, layerInBlock }: LayerBlocks,
  which: KeyOrValue,
  head: number,
  position: number,
): number {
  const block = Math.floor(position / shape.tokens);
  const offset = table[block] ?? 0;
  if (
    offset === 0 || offset % 4 !== 0 ||
    offset / 4 + rawFloats(shape) > memory.length
  ) {
    throw new RangeError(
      `Cannot use position ${position}: block ${block} of its sequence is at byte ${offset}, which is ${
        offset === 0 ? "no block" : `no place in ${memory.byteLength} bytes`
      }; keep every block a row sees or writes`,
    );
  }
  return offset / 4 +
    blockIndex(shape, layerInBlock, which, head, position % shape.tokens);
}
