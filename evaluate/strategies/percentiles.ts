/**
 * Percentiles of measurements, as latencies are told in.
 *
 * @module
 */

/** Typical, bad and worst cases, in the measurements' unit. */
export interface Percentiles {
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  /** How many there were. */
  readonly n: number;
}

/**
 * The value that `share` of all values do not exceed, between neighbours by
 * straight lines: 0 gives the least, 1 the largest.
 *
 * @throws {RangeError} for no values, one that is no finite number, or a share
 * outside 0 to 1.
 */
export function quantile(values: readonly number[], share: number): number {
  if (values.length === 0 || !values.every(Number.isFinite)) {
    throw new RangeError(
      `Cannot take a quantile of ${values.length} values: finite numbers, one at least, are wanted`,
    );
  }
  if (!(share >= 0 && share <= 1)) {
    throw new RangeError(
      `Cannot take the quantile "${share}": a share from 0 to 1 is wanted`,
    );
  }
  const sorted = values.toSorted((a, b) => a - b);
  const at = share * (sorted.length - 1), below = Math.floor(at);
  const low = sorted[below]!, high = sorted[Math.ceil(at)]!;
  return low + (high - low) * (at - below);
}

/** Mean and percentiles of `values`; throws as `quantile()` does. */
export function percentiles(values: readonly number[]): Percentiles {
  return {
    p50: quantile(values, 0.5),
    p95: quantile(values, 0.95),
    p99: quantile(values, 0.99),
    mean: mean(values),
    n: values.length,
  };
}

/** The mean; NaN for no values. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, v) => sum + v, 0) / values.length;
}
