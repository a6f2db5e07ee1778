/**
 * What a K or a V format is: how one head's values of a block become bytes.
 *
 * All arithmetic is f32, each sum and product rounded, in the order the files
 * say, so that kernels make the same bytes.
 *
 * @module
 */
import type { Support } from "../../core/types.ts";

/**
 * Codes one head of a block, `tokens` positions of `headDim` values, in a *piece*
 * of whole 16 bytes. Values are finite; [token][dim] on the outside.
 */
export interface KvPart {
  /** Names the format; kernels match on it. */
  readonly id: string;
  /** Tokens in a block from which on it is as small as it says. Default: any. */
  readonly blockTokens?: number;
  /** Whether there are pieces of such blocks; what else it has takes no others. */
  supports(tokens: number, headDim: number): Support;
  /** Bytes of a piece. */
  bytes(tokens: number, headDim: number): number;
  /** Fills `out`, which is as long as `bytes()` says. */
  seal(x: Float32Array, tokens: number, headDim: number, out: Uint8Array): void;
  /** Fills `x` with what a piece holds. */
  open(
    sealed: Uint8Array,
    tokens: number,
    headDim: number,
    x: Float32Array,
  ): void;
}

/** Bits that a value takes, scales and padding with it. */
export function bitsPerValue(
  part: KvPart,
  tokens: number,
  headDim: number,
): number {
  return part.bytes(tokens, headDim) * 8 / (tokens * headDim);
}

/** `n` up to whole 16 bytes. */
export function whole16(n: number): number {
  return Math.ceil(n / 16) * 16;
}

/** A refusal of block and head sizes that are no multiples of 8 and `dims`. */
export function wholeTiles(
  tokens: number,
  headDim: number,
  dims: number = 8,
): Support {
  if (!(headDim > 0) || headDim % dims !== 0) {
    return {
      ok: false,
      why:
        `takes heads of a multiple of ${dims} values, not ${headDim}: choose another format for these layers`,
    };
  }
  if (!(tokens > 0) || tokens % 8 !== 0) {
    return {
      ok: false,
      why:
        `takes blocks of a multiple of 8 tokens, not ${tokens}: choose another block size`,
    };
  }
  return { ok: true, cost: 1 };
}
