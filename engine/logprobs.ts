/**
 * How likely tokens were by the model's own distribution.
 *
 * @module
 */
import { logTotal } from "./log_total.ts";
import type { TokenLogprob } from "./options.ts";
import type { LogitsRow } from "./sampler.ts";

/** Most alternatives that are given. */
const MOST = 20;

/** Checks the option. Throws a RangeError for a number out of bounds. */
export function logprobsOf(wanted: number | undefined): number | undefined {
  if (wanted === undefined) return undefined;
  if (Number.isInteger(wanted) && wanted >= 0 && wanted <= MOST) return wanted;
  throw new RangeError(
    `Cannot generate with "logprobs" ${wanted}: a whole number from 0 to ${MOST} is wanted`,
  );
}

/**
 * What a row says of `token`, with the `most` likeliest. `row` has as many sorted out,
 * and is as the model computed it; `total` is its `logTotal()`.
 */
export function logprobOf(
  row: LogitsRow,
  token: number,
  most: number,
  total = logTotal(row.logits),
): TokenLogprob {
  const top: { token: number; logprob: number }[] = [];
  for (let i = 0; i < most && i < row.topIds.length; i++) {
    if (row.topIds[i]! < 0) break;
    top.push({ token: row.topIds[i]!, logprob: row.topLogits[i]! - total });
  }
  return { token, logprob: row.logits[token]! - total, top };
}
