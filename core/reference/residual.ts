/**
 * Sums: around each half of a transformer block, and of biases.
 *
 * @module
 */

/** Adds `y` times `scale` to `x`, value by value, in place. */
export function residual(
  x: Float32Array,
  y: Float32Array,
  scale: number = 1,
): void {
  if (x.length !== y.length) {
    throw new RangeError(
      `Cannot add ${y.length} values to ${x.length}: pass equal lengths`,
    );
  }
  for (let i = 0; i < x.length; i++) x[i] = x[i]! + y[i]! * scale;
}

/** Adds `bias` to each run of `bias.length` values of `x`, in place. */
export function addBias(x: Float32Array, bias: Float32Array): void {
  const width = bias.length;
  if (width === 0 || x.length % width !== 0) {
    throw new RangeError(
      `Cannot add a bias of ${width} values to ${x.length}: pass whole runs`,
    );
  }
  for (let i = 0; i < x.length; i++) x[i] = x[i]! + bias[i % width]!;
}
