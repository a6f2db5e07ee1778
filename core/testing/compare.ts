/**
 * How far one set of logits is from another.
 *
 * @module
 */

/** Natural log-probabilities of a row of logits: softmax over the whole row. */
export function logSoftmax(logits: ArrayLike<number>): Float64Array {
  const out = Float64Array.from(logits);
  let max = -Infinity;
  for (const x of out) max = Math.max(max, x);
  let total = 0;
  for (const x of out) total += Math.exp(x - max);
  const log = max + Math.log(total);
  for (let i = 0; i < out.length; i++) out[i]! -= log;
  return out;
}

/**
 * Largest |a - b|, value by value. NaN on either side gives NaN, which no
 * bound is above, so a broken result never passes for a near one.
 */
export function maxAbsDiff(a: ArrayLike<number>, b: ArrayLike<number>): number {
  sameLength(a, b);
  let most = 0;
  for (let i = 0; i < a.length; i++) {
    // Equal infinities are no distance apart.
    most = Math.max(most, a[i] === b[i] ? 0 : Math.abs(a[i]! - b[i]!));
  }
  return most;
}

/** Root of the mean of (a - b)². */
export function rmsDiff(a: ArrayLike<number>, b: ArrayLike<number>): number {
  sameLength(a, b);
  let squares = 0;
  for (let i = 0; i < a.length; i++) squares += (a[i]! - b[i]!) ** 2;
  return Math.sqrt(squares / a.length);
}

/** Σ p (log p - log q) of two rows of log-probabilities, p the reference. Nats. */
export function klDivergence(
  logP: ArrayLike<number>,
  logQ: ArrayLike<number>,
): number {
  sameLength(logP, logQ);
  let sum = 0;
  for (let i = 0; i < logP.length; i++) {
    const p = Math.exp(logP[i]!);
    if (p !== 0) sum += p * (logP[i]! - logQ[i]!);
  }
  return sum;
}

/** Ids of the `k` largest values, best first, equal ones by lower id. */
export function topIds(values: ArrayLike<number>, k: number): number[] {
  return Array.from({ length: values.length }, (_, i) => i)
    .sort((a, b) => values[b]! - values[a]! || a - b)
    .slice(0, k);
}

/** Id of the largest value, the lowest of equal ones. */
export function argMax(values: ArrayLike<number>): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) {
    if (values[i]! > values[best]!) best = i;
  }
  return best;
}

/**
 * Whether `ids` are the best of `values` in order, allowing neighbours whose
 * values are within `tie` of one another to stand the other way round, and the
 * last to be swapped for one as good.
 */
export function sameTop(
  values: ArrayLike<number>,
  ids: readonly number[],
  tie: number,
): boolean {
  return topIds(values, ids.length).every((id, i) =>
    id === ids[i] || Math.abs(values[id]! - (values[ids[i]!] ?? NaN)) <= tie
  );
}

/**
 * The value that a `share` of `values` does not exceed, between two of them by
 * straight line; 0.5 gives the median. NaN for no values.
 */
export function quantile(values: readonly number[], share: number): number {
  const sorted = [...values].sort((a, b) => a - b);
  const at = share * (sorted.length - 1);
  const low = sorted[Math.floor(at)] ?? NaN;
  const high = sorted[Math.ceil(at)] ?? NaN;
  return low + (high - low) * (at - Math.floor(at));
}

function sameLength(a: ArrayLike<number>, b: ArrayLike<number>): void {
  if (a.length !== b.length) {
    throw new RangeError(
      `Cannot compare ${a.length} values with ${b.length}: pass equal lengths`,
    );
  }
}
