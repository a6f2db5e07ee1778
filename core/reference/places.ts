/**
 * Which group, and which layer of its blocks, each layer of a model has.
 *
 * @module
 */
import type { BoundGroup } from "../backend.ts";
import type { ModelSpec } from "../model.ts";
import type { BlockShape } from "../types.ts";

/** Where a layer's K and V are. */
export interface LayerPlace {
  /** Which of the plan's groups. */
  readonly group: number;
  /** Which layer of that group's blocks. */
  readonly layerInBlock: number;
  readonly shape: BlockShape;
}

/**
 * One place a layer. Throws a TypeError where the groups leave a layer out,
 * name one twice, or have blocks of another shape than their layers.
 */
export function placeLayers(
  spec: ModelSpec,
  groups: readonly BoundGroup[],
): LayerPlace[] {
  const places: LayerPlace[] = [];
  groups.forEach(({ layers, shape }, group) => {
    if (shape.layers !== layers.length || !(shape.tokens >= 1)) {
      throw new TypeError(
        `Cannot bind group ${group}: its blocks hold ${shape.layers} layers of ${shape.tokens} tokens, wanted ${layers.length} layers of 1 or more`,
      );
    }
    layers.forEach((layer, layerInBlock) => {
      const has = spec.layers[layer];
      if (
        has?.kvHeads !== shape.kvHeads || has.headDim !== shape.headDim ||
        places[layer] !== undefined
      ) {
        throw new TypeError(
          `Cannot bind layer ${layer} to group ${group} of ${shape.kvHeads} heads of ${shape.headDim}: ${
            has === undefined
              ? `the model has ${spec.layers.length} layers`
              : places[layer] !== undefined
              ? `it is in group ${places[layer].group} too`
              : `it has ${has.kvHeads} heads of ${has.headDim}`
          }`,
        );
      }
      places[layer] = { group, layerInBlock, shape };
    });
  });
  for (let layer = 0; layer < spec.layers.length; layer++) {
    if (places[layer] === undefined) {
      throw new TypeError(`Cannot bind the groups: none has layer ${layer}`);
    }
  }
  return places;
}
