/**
 * Which models the kernels can lay out.
 *
 * @module
 */
import { ModelError } from "../core/errors.ts";
import { mlpsOf, type ModelSpec } from "../core/model.ts";

/** Outputs in a panel of weights; see assembly/quants.ts. */
const PANEL = 8;

/**
 * Refuses a model with rows that are no whole panels: a product would write
 * over what lies beside them. Throws a ModelError that names `file`.
 */
export function checkWidths(file: string, spec: ModelSpec): void {
  const check = (what: string, width: number): void => {
    if (width % PANEL === 0) return;
    throw new ModelError(
      file,
      `its ${what} is ${width}, the CPU kernels want a multiple of ${PANEL}; ` +
        `load it with backend: "reference"`,
    );
  };
  check("embedding length", spec.hidden);
  spec.layers.forEach((layer, i) => {
    const { headDim, rope } = layer;
    for (const { ffn } of mlpsOf(layer)) {
      check(`feed-forward length in layer ${i}`, ffn);
    }
    check(`head size in layer ${i}`, headDim);
    if (rope.dims % 2 !== 0 || rope.dims > headDim) {
      throw new ModelError(
        file,
        `layer ${i} turns ${rope.dims} of the ${headDim} values of a head, an even number of them is wanted`,
      );
    }
  });
}
