/**
 * Several measurements of one thing, in a few numbers.
 *
 * @module
 */

/** What several measurements come to; all but `n` in the measurements' unit. */
export interface Summary {
  readonly median: number;
  readonly min: number;
  readonly max: number;
  /** How many there were. */
  readonly n: number;
}

/**
 * The middle value, or the mean of the two in the middle.
 *
 * @throws {RangeError} for no values, or one that is no finite number.
 */
export function median(values: readonly number[]): number {
  return summary(values).median;
}

/**
 * Median, least and largest of `values`.
 *
 * @throws {RangeError} for no values, or one that is no finite number.
 */
export function summary(values: readonly number[]): Summary {
  if (values.length === 0) {
    throw new RangeError("Cannot summarise no values: one is the least");
  }
  const wrong = values.find((v) => !Number.isFinite(v));
  if (wrong !== undefined) {
    throw new RangeError(
      `Cannot summarise ${wrong}: finite numbers are wanted`,
    );
  }
  const sorted = values.toSorted((a, b) => a - b), n = sorted.length;
  const low = sorted[(n - 1) >> 1]!, high = sorted[n >> 1]!;
  return {
    median: low + (high - low) / 2,
    min: sorted[0]!,
    max: sorted[n - 1]!,
    n,
  };
}
