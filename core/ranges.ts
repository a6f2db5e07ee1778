/**
 * Ranges of positions.
 *
 * @module
 */
import type { Retention } from "./slots.ts";
import type { TokenRange } from "./types.ts";

/** What is in both. Either list ascends; so does the result. */
export function intersect(
  a: readonly TokenRange[],
  b: readonly TokenRange[],
): TokenRange[] {
  const out: TokenRange[] = [];
  for (const x of a) {
    for (const y of b) {
      const start = Math.max(x.start, y.start);
      const end = Math.min(x.end, y.end);
      if (start < end) out.push({ start, end });
    }
  }
  return out;
}

/** Positions the query at `query` may see: causal, narrowed by every retention. */
export function visible(
  retentions: readonly Retention[],
  query: number,
): TokenRange[] {
  let out: TokenRange[] = [{ start: 0, end: query + 1 }];
  for (const r of retentions) out = intersect(out, r.visible(query));
  return out;
}

/** Positions below `length` that some query at or after `length` can see. */
export function needed(
  retentions: readonly Retention[],
  length: number,
): TokenRange[] {
  return intersect(visible(retentions, length), [{ start: 0, end: length }]);
}
