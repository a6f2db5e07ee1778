/**
 * What the CPU backend can be asked before it has memory or workers: which formats
 * its kernels read, and how large blocks are.
 *
 * @module
 */
import type { BackendLimits } from "../core/backend.ts";
import type { PlanBackend } from "../core/plan.ts";
import type { AttendKernel } from "../core/slots.ts";
import { MAX_BYTES } from "./memory.ts";
import { sealedFormat, whyNotSealed } from "./sealed.ts";

/** Most tokens in a block: what the plan allows too. */
export const MOST_BLOCK_TOKENS = 65536;

/**
 * Bytes of one head's K (or V) that lie together: attention reads runs this long.
 * With runs of 4 KiB, a page each, decoding at 4,000 positions took 1.4 times as
 * long as with 32 KiB: every page is a miss of the address cache.
 */
const RUN_BYTES = 32768;

/** A slab is at most this part of the memory. */
const SLAB_PART = 64;

/**
 * The part of the backend that plans look at. `exact` keeps K and V in f32, else
 * they are f16; `limits` default to the largest memory.
 */
export function wasmFormats(
  exact: boolean,
  limits: BackendLimits = {
    bytes: MAX_BYTES,
    maxSpan: MAX_BYTES,
    align: 64,
    rows: 1,
    seqs: 1,
    wanted: 1,
    top: 1,
  },
): PlanBackend {
  const size = exact ? 4 : 2, rawFormat = exact ? "f32" : "f16";
  return {
    id: "wasm",
    limits,
    rawFormat,
    kernels: [attendKernel(rawFormat), sealedKernel(rawFormat)],
    transcoders: [],
    hidden: true,
    openBlocks: { read: noMemory, write: noMemory },
    slab: ({ tokens, headDim, layers, kvHeads }) => {
      const piece = tokens * headDim * size, parts = layers * kvHeads * 2;
      const most = limits.bytes / SLAB_PART / (piece * parts);
      const blocks = Math.floor(Math.min(RUN_BYTES / piece, most));
      return { blocks: Math.max(1, blocks), parts };
    },
    blockBytes: ({ layers, kvHeads, tokens, headDim }) =>
      layers * kvHeads * 2 * tokens * headDim * size,
  };
}

function noMemory(): never {
  throw new TypeError("Cannot open a block: there is no memory yet");
}

/** Reads open blocks and sealed ones of all formats of sealed.ts, side by side. */
function sealedKernel(rawFormat: string): AttendKernel {
  return {
    id: "wasm-attend-sealed",
    backend: "wasm",
    supports: (wanted, layer, blockTokens) => {
      const format = wanted === rawFormat ? undefined : sealedFormat(wanted);
      if (format === undefined) {
        return { ok: false, why: `does not read "${wanted}"` };
      }
      const why = whyNotSealed(format, layer.headDim, blockTokens);
      return why === undefined ? { ok: true, cost: 1 } : { ok: false, why };
    },
  };
}

function attendKernel(format: string): AttendKernel {
  return {
    id: `wasm-attend-${format}`,
    backend: "wasm",
    supports: (wanted, layer, blockTokens) => {
      if (wanted !== "raw" && wanted !== format) {
        return { ok: false, why: `reads ${format} only` };
      }
      if (blockTokens % 8 !== 0 || blockTokens > MOST_BLOCK_TOKENS) {
        return {
          ok: false,
          why:
            `takes blocks of a multiple of 8 tokens up to ${MOST_BLOCK_TOKENS}, not ${blockTokens}`,
        };
      }
      if (layer.headDim % 8 !== 0) {
        return {
          ok: false,
          why: `takes heads of a multiple of 8 values, not ${layer.headDim}`,
        };
      }
      return { ok: true, cost: 1 };
    },
  };
}
