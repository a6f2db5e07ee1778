/**
 * What K and V are before they are coded: numbers that f16 has.
 *
 * @module
 */

/** Largest magnitude that is coded: f16's. */
export const LARGEST = 65504;

/** 0 for no number, and nothing beyond what f16 holds. */
export function finite(x: number): number {
  if (Number.isNaN(x)) return 0;
  return Math.max(-LARGEST, Math.min(LARGEST, x));
}
