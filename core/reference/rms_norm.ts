/**
 * Root-mean-square norm.
 *
 * @module
 */

/**
 * Writes `x / sqrt(mean(x²) + eps) * weight` for each run of `weight.length`
 * values of `x` to `out`, which may be `x` itself. The weight is used as it is
 * stored. Hidden rows pass the hidden size, queries and keys the head size.
 */
export function rmsNorm(
  x: Float32Array,
  weight: Float32Array,
  eps: number,
  out: Float32Array,
): void {
  const width = weight.length;
  if (width === 0 || x.length % width !== 0) {
    throw new RangeError(
      `Cannot norm ${x.length} values in runs of ${width}: pass whole runs`,
    );
  }
  for (let from = 0; from < x.length; from += width) {
    let squares = 0;
    for (let i = 0; i < width; i++) squares += x[from + i]! ** 2;
    const scale = 1 / Math.sqrt(squares / width + eps);
    for (let i = 0; i < width; i++) {
      out[from + i] = x[from + i]! * scale * weight[i]!;
    }
  }
}
