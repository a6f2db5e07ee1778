/**
 * How the blocks of a group lie in slabs.
 *
 * @module
 */
import type { Backend, SlabLayout } from "./backend.ts";
import type { Codec } from "./slots.ts";
import type { BlockShape } from "./types.ts";

/**
 * Cut as the backend says. A block that is sealed leaves its open place again, so
 * it has a slab for itself: its neighbours would keep the slab.
 */
export function groupSlab(
  backend: Pick<Backend, "slab">,
  shape: BlockShape,
  fused: Codec | undefined,
): SlabLayout | undefined {
  const slab = backend.slab?.(shape);
  return slab === undefined || fused === undefined
    ? slab
    : { blocks: 1, parts: slab.parts };
}
