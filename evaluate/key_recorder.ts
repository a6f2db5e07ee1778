/**
 * A codec that changes nothing and watches K: their means by layer, head and
 * dimension.
 *
 * @module
 */
import { rawFloats } from "../core/defaults.ts";
import { blockIndex } from "../core/reference/block_layout.ts";
import type { Plugin } from "../core/plugin.ts";
import type { BlockShape } from "../core/types.ts";
import { finite } from "../plugins/kv/finite.ts";

/** Least part of a dimension's energy that its mean must explain to be taken out. */
const LEAST_SHARE = 0.5;

interface Sums {
  readonly values: Float64Array;
  readonly squares: Float64Array;
  count: number;
}

/** Collects K of full blocks while texts run. */
export class KeyRecorder {
  readonly #layers = new Map<number, Sums>();
  readonly #onTokens: ((count: number) => void) | undefined;

  /** `onTokens` hears how many tokens of the first layer there were so far. */
  constructor(onTokens?: (count: number) => void) {
    this.#onTokens = onTokens;
  }

  /** Hands itself every block that becomes full. */
  plugin(): Plugin {
    return {
      name: "key-recorder",
      setup: (host) =>
        host.provide("codec", {
          id: "record",
          // Only what changes values is applied without a kernel.
          lossy: true,
          bytes: (shape) => rawFloats(shape) * 4,
          seal: (shape, raw, out) => {
            this.#take(shape, raw);
            out.set(new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength));
          },
          open: (_shape, sealed, raw) =>
            new Uint8Array(raw.buffer, raw.byteOffset, raw.byteLength)
              .set(sealed),
        }),
    };
  }

  /**
   * Means by layer, [head][dim], 0 in dimensions whose mean explains less than half
   * of their energy: those turn on while a text goes on, and a mean of them is a
   * matter of where it ended.
   */
  centres(layers: number): readonly Float32Array[] {
    return Array.from({ length: layers }, (_, layer) => {
      const sums = this.#layers.get(layer);
      if (sums === undefined) return new Float32Array(0);
      const { values, squares, count } = sums;
      return Float32Array.from(values, (sum, i) => {
        const mean = sum / count;
        return mean * mean >= LEAST_SHARE * squares[i]! / count ? mean : 0;
      });
    });
  }

  #take(shape: BlockShape, raw: Float32Array): void {
    const { layers, tokens, kvHeads, headDim, layerIds } = shape;
    for (let l = 0; l < layers; l++) {
      const sums = this.#sumsOf(layerIds![l]!, kvHeads * headDim);
      for (let t = 0; t < tokens; t++) {
        for (let h = 0; h < kvHeads; h++) {
          const from = blockIndex(shape, l, 0, h, t), to = h * headDim;
          for (let d = 0; d < headDim; d++) {
            // As codecs take it.
            const x = finite(raw[from + d]!);
            sums.values[to + d]! += x;
            sums.squares[to + d]! += x * x;
          }
        }
      }
      sums.count += tokens;
    }
    if (layerIds!.includes(0)) this.#onTokens?.(this.#layers.get(0)!.count);
  }

  #sumsOf(layer: number, length: number): Sums {
    let sums = this.#layers.get(layer);
    if (sums === undefined) {
      sums = {
        values: new Float64Array(length),
        squares: new Float64Array(length),
        count: 0,
      };
      this.#layers.set(layer, sums);
    }
    return sums;
  }
}
