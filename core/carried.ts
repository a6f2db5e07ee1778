/**
 * Whether a cache can carry a plan out.
 *
 * @module
 */
import type { OpenBlocks } from "./backend.ts";
import type { CachePlan } from "./plan.ts";

/** Throws a TypeError on codecs that nobody could apply. */
export function requireCarried(
  plan: CachePlan,
  openBlocks: OpenBlocks | undefined,
): void {
  for (const { codec, rounds } of plan.groups) {
    if (!rounds || openBlocks !== undefined) continue;
    throw new TypeError(
      `Cannot create a cache with codec "${codec.id}": no kernel of backend "${plan.backend}" reads it, and its blocks cannot be read as values; pass the backend\'s "openBlocks"`,
    );
  }
}
