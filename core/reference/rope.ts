/**
 * Rotary positions.
 *
 * ```text
 *  head   0  1  2  3 | 4 5      dims = 4, headDim = 6: the rest passes through
 *  neighbours (0,1) (2,3)       pair i turns by position/divide * base^(-2i/dims) / factors[i]
 *  halves     (0,2) (1,3)
 * ```
 *
 * @module
 */
import type { RopeSpec } from "../model.ts";

/**
 * Turns every head of `x` in place by its row's position. `x` is
 * `positions.length` rows of whole heads of `headDim` values. Angles are taken
 * in double precision. `factors` are the values of the tensor `rope.factors`
 * names, or those it is, dims/2 of them.
 */
export function rope(
  x: Float32Array,
  headDim: number,
  positions: Int32Array,
  rope: RopeSpec,
  factors?: ArrayLike<number>,
): void {
  const pairs = rope.dims / 2;
  const heads = x.length / (headDim * positions.length);
  if (
    pairs % 1 !== 0 || rope.dims > headDim || heads % 1 !== 0 ||
    (factors !== undefined && factors.length < pairs)
  ) {
    throw new RangeError(
      `Cannot turn ${rope.dims} of ${headDim} values a head, ${x.length} values in ${positions.length} rows, with ${
        factors?.length ?? "no"
      } factors: pass an even number within the head, whole rows and a factor a pair`,
    );
  }
  const { magnitude = 1 } = rope;
  const step = rope.style === "neighbours" ? 2 : 1;
  const reach = rope.style === "neighbours" ? 1 : pairs;
  for (let i = 0; i < pairs; i++) {
    const frequency = rope.base ** (-2 * i / rope.dims) / (factors?.[i] ?? 1);
    for (let row = 0; row < positions.length; row++) {
      const angle = positions[row]! / rope.divide * frequency;
      const cos = Math.cos(angle) * magnitude;
      const sin = Math.sin(angle) * magnitude;
      for (let head = 0; head < heads; head++) {
        const a = (row * heads + head) * headDim + i * step;
        const b = a + reach;
        const xa = x[a]!;
        const xb = x[b]!;
        x[a] = xa * cos - xb * sin;
        x[b] = xa * sin + xb * cos;
      }
    }
  }
}
