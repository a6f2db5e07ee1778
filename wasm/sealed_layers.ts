/**
 * Tells the kernels how each layer's sealed blocks lie.
 *
 * @module
 */
import type { BoundGroup } from "../core/backend.ts";
import type { PlaceParts } from "./places.ts";
import type { Places } from "./program.ts";
import {
  headBytes,
  SEALED_BYTES,
  sealedFormat,
  sealedWords,
} from "./sealed.ts";
import { SPLIT } from "./space.ts";

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
    const { kvHeads, tokens } = shape;
    const head = headBytes(format, shape);
    layers.forEach((layer, i) => {
      const values = fused.centre?.(layer);
      let centre = 0;
      if (values !== undefined) {
        centre = space.take("workspace", "key centres", values.length * 4);
        memory.f32(centre, values.length).set(values);
      }
      memory.i32(places.sealedLayers + layer * SEALED_BYTES, SEALED_BYTES / 4)
        .set(sealedWords(format, shape, {
          table: places.sealed[g]!,
          layer: i * kvHeads * head,
          run: sight?.full ? SPLIT : tokens,
          size,
          centre,
        }));
    });
  });
}

/** Block sizes at which no tile of rows may go on. */
export function boundariesOf(groups: readonly BoundGroup[]): readonly number[] {
  const sizes = groups.filter((g) => g.fused !== undefined)
    .map((g) => g.shape.tokens);
  return [...new Set(sizes)];
}
