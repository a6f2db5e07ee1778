/**
 * Tells the kernels how each layer's sealed blocks lie.
 *
 * @module
 */
import type { BoundGroup } from "../core/backend.ts";
import { f32 } from "./records.ts";
import type { PlaceParts } from "./places.ts";
import type { Places } from "./program.ts";
import {
  headBytes,
  keyBytes,
  PIECE_KIND,
  SEALED_BYTES,
  SEALED_FLAG,
  sealedFormat,
} from "./sealed.ts";
import { SPLIT } from "./space.ts";

/** What of a value is missing where f16 is read by its bits. */
const HALF_UNIT = 2 ** -112;

/** Writes a Sealed for each layer whose group is; `size` is of an open value. */
export function placeSealed(
  { memory, space }: Pick<PlaceParts, "memory" | "space">,
  groups: readonly BoundGroup[],
  places: Places,
  size: number,
): void {
  groups.forEach(({ layers, shape, fused, sight }, g) => {
    if (fused === undefined) return;
    const format = sealedFormat(fused.id);
    if (format === undefined) {
      throw new TypeError(`Cannot bind blocks of "${fused.id}": no kernel`);
    }
    const { kvHeads, headDim, tokens } = shape;
    const head = headBytes(format, shape);
    const flags = (format.k.rotated ? SEALED_FLAG.rotateK : 0) |
      (format.v.rotated ? SEALED_FLAG.rotateV : 0);
    layers.forEach((layer, i) => {
      const values = fused.centre?.(layer);
      let centre = 0;
      if (values !== undefined) {
        centre = space.take("workspace", "key centres", values.length * 4);
        memory.f32(centre, values.length).set(values);
      }
      memory.i32(places.sealedLayers + layer * SEALED_BYTES, SEALED_BYTES / 4)
        .set([
          places.sealed[g]!,
          i * kvHeads * head,
          head,
          keyBytes(format.k, tokens, headDim),
          PIECE_KIND[format.k.kind],
          PIECE_KIND[format.v.kind],
          flags,
          sight?.full ? SPLIT : tokens,
          f32(size === 2 ? HALF_UNIT : 1),
          centre,
        ]);
    });
  });
}

/** Block sizes at which no tile of rows may go on. */
export function boundariesOf(groups: readonly BoundGroup[]): readonly number[] {
  const sizes = groups.filter((g) => g.fused !== undefined)
    .map((g) => g.shape.tokens);
  return [...new Set(sizes)];
}
