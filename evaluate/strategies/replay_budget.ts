/**
 * Memory for so many average requests, and not for more.
 *
 * @module
 */
import { load } from "../../engine/load.ts";
import type { LoadOptions } from "../../engine/options.ts";
import { mean } from "./percentiles.ts";
import { type Arrival, positions } from "./traces.ts";

/** Memory for K and V. */
export interface Budget {
  readonly loadBytes: number;
  /** What it leaves for K and V, bytes and positions. */
  readonly kvBytes: number;
  readonly positions: number;
  /** How many average requests that is. */
  readonly holds: number;
}

/** What `load()` has to be given so that K and V of `held` average requests fit. */
export async function budgetFor(
  model: string,
  how: LoadOptions,
  requests: readonly Arrival[],
  held: number,
): Promise<Budget> {
  await using engine = await load(model, how);
  const { plan, cache } = engine;
  const other = engine.memory().lines
    .filter(({ owner }) => owner !== "kv")
    .reduce((sum, { bytes }) => sum + bytes, 0);
  const average = mean(requests.map(positions));
  // Block by block: a budget in slabs would hold more than it says.
  let kvBytes = 0;
  for (const { blockBytes, shape } of plan.groups) {
    kvBytes += Math.ceil(held * Math.ceil(average / shape.tokens)) * blockBytes;
  }
  const longest = Math.max(
    ...requests.map((r) => cache.peakBytes(positions(r), 1)),
  );
  kvBytes = Math.max(kvBytes, longest);
  const perPosition = plan.groups.reduce(
    (sum, { blockBytes, shape }) => sum + blockBytes / shape.tokens,
    0,
  );
  return {
    loadBytes: other + kvBytes,
    kvBytes,
    positions: Math.floor(kvBytes / perPosition),
    holds: kvBytes / perPosition / average,
  };
}
