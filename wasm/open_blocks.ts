/**
 * Open blocks as values and back, for codecs that no kernel reads. Slow: one value
 * at a time.
 *
 * @module
 */
import type { OpenBlocks, SlabLayout } from "../core/backend.ts";
import { fromF16Bits, toF16Bits } from "../core/f16.ts";
import type { BlockShape } from "../core/types.ts";
import type { WasmMemory } from "./memory.ts";

/** A block that has its memory for itself. */
const ALONE: SlabLayout = { blocks: 1, parts: 1 };

/** An f16 block keeps nothing smaller; assembly/lanes.ts. */
const LEAST_HALF = 2 ** -14;
const MOST_HALF = 65504;

/** Blocks of values of `size` bytes, as assembly/attention.ts draws them. */
export function openBlocks(memory: WasmMemory, size: number): OpenBlocks {
  /** Calls `each` with the place of every value in memory and in `rawFloats()`. */
  const walk = (
    offset: number,
    shape: BlockShape,
    { blocks }: SlabLayout,
    each: (at: number, i: number) => void,
  ): void => {
    const { tokens, layers, kvHeads, headDim } = shape;
    const part = blocks * tokens * headDim;
    let i = 0;
    for (let layer = 0; layer < layers; layer++) {
      for (let t = 0; t < tokens; t++) {
        for (let v = 0; v < 2; v++) {
          for (let h = 0; h < kvHeads; h++) {
            const from = offset / size +
              ((layer * kvHeads + h) * 2 + v) * part;
            for (let d = 0; d < headDim; d++, i++) {
              const key = ((t >> 3) * headDim + d) * 8 + (t & 7);
              each(from + (v === 0 ? key : t * headDim + d), i);
            }
          }
        }
      }
    }
  };
  if (size === 4) {
    const words = (): Float32Array => new Float32Array(memory.memory.buffer);
    return {
      read(offset, shape, out, slab = ALONE) {
        const from = words();
        walk(offset, shape, slab, (at, i) => out[i] = from[at]!);
      },
      write(offset, shape, values, slab = ALONE) {
        const to = words();
        walk(offset, shape, slab, (at, i) => to[at] = values[i]!);
      },
    };
  }
  const words = (): Uint16Array => new Uint16Array(memory.memory.buffer);
  return {
    read(offset, shape, out, slab = ALONE) {
      const from = words();
      walk(offset, shape, slab, (at, i) => out[i] = fromF16Bits(from[at]!));
    },
    write(offset, shape, values, slab = ALONE) {
      const to = words();
      walk(
        offset,
        shape,
        slab,
        (at, i) => to[at] = toF16Bits(kept(values[i]!)),
      );
    },
  };
}

function kept(x: number): number {
  if (Math.abs(x) < LEAST_HALF) return 0;
  return Math.max(-MOST_HALF, Math.min(MOST_HALF, x));
}
