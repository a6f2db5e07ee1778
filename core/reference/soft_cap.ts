/**
 * Soft caps: values that may come near to a bound, and never beyond it.
 *
 * @module
 */

/** cap · tanh(x / cap); `x` itself where there is no cap. */
export function capped(x: number, cap: number | undefined): number {
  return cap === undefined ? x : cap * Math.tanh(x / cap);
}

/** Multiplies `values` by `scale`, then caps them, in place. */
export function softCap(
  values: Float32Array,
  cap: number | undefined,
  scale: number = 1,
): void {
  if (cap === undefined && scale === 1) return;
  for (let i = 0; i < values.length; i++) {
    values[i] = capped(values[i]! * scale, cap);
  }
}
