/**
 * What logits are measured against.
 *
 * @module
 */

/** log Σ exp of a row: a logit less this is a natural log-probability. */
export function logTotal(logits: Float32Array): number {
  let max = -Infinity;
  for (let i = 0; i < logits.length; i++) {
    if (logits[i]! > max) max = logits[i]!;
  }
  let sum = 0;
  for (let i = 0; i < logits.length; i++) sum += Math.exp(logits[i]! - max);
  return max + Math.log(sum);
}
