/**
 * The sum around each half of a transformer block.
 *
 * @module
 */

/** Adds `y` to `x`, value by value, in place. */
export function residual(x: Float32Array, y: Float32Array): void {
  if (x.length !== y.length) {
    throw new RangeError(
      `Cannot add ${y.length} values to ${x.length}: pass equal lengths`,
    );
  }
  for (let i = 0; i < x.length; i++) x[i] = x[i]! + y[i]!;
}
