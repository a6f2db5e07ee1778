/**
 * Where a key or value lies in an open block of the reference backend: the
 * order codecs take raw values in, [layer][token][k|v][head][dim].
 *
 * ```text
 *  block   layer 0             | layer 1 | …     layers of the group, in its order
 *  layer   token 0   | token 1 | …               tokens
 *  token   K         | V                         the same size each
 *  K, V    head 0 | head 1 | …                   kvHeads
 *  head    headDim f32, next to one another
 * ```
 *
 * @module
 */
import type { BlockShape } from "../types.ts";

/** Keys first, then values. */
export type KeyOrValue = 0 | 1;

/**
 * Index, in values from the start of the block, of the first value of `head`
 * of the token at `offset` in the block.
 */
export function blockIndex(
  shape: BlockShape,
  layerInBlock: number,
  which: KeyOrValue,
  head: number,
  offset: number,
): number {
  const token = layerInBlock * shape.tokens + offset;
  return ((token * 2 + which) * shape.kvHeads + head) * shape.headDim;
}
