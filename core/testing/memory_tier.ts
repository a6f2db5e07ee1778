/**
 * A tier in a Map, for tests: it can be slow, and it can lose things.
 *
 * @module
 */
import type { Plugin } from "../plugin.ts";
import type { Tier } from "../slots.ts";
import type { BlockId } from "../types.ts";

/** How a memory tier behaves; what may be changed at any time. */
export interface MemoryTier extends Tier {
  /** What it holds. */
  readonly blocks: ReadonlyMap<BlockId, Uint8Array>;
  /** Answers with promises. */
  slow: boolean;
  /** Has lost what this says. */
  loses: (block: BlockId) => boolean;
}

/** A tier of `capacity` bytes; what is more is not kept. */
export function memoryTier(capacity: number, rank = 1): MemoryTier {
  const blocks = new Map<BlockId, Uint8Array>();
  const keep = (block: BlockId, bytes: Uint8Array): void => {
    blocks.delete(block);
    let used = bytes.length;
    for (const other of blocks.values()) used += other.length;
    if (used <= capacity) blocks.set(block, bytes);
  };
  const tier: MemoryTier = {
    id: `memory-${rank}`,
    rank,
    capacity,
    blocks,
    slow: false,
    loses: () => false,
    put(block, bytes) {
      const copy = bytes.slice();
      if (!tier.slow) return keep(block, copy);
      return Promise.resolve().then(() => keep(block, copy));
    },
    get(block, out) {
      const bytes = blocks.get(block);
      const found = bytes === undefined || tier.loses(block) ? "lost" : "ok";
      if (found === "ok") out.set(bytes!);
      return tier.slow ? Promise.resolve(found) : found;
    },
    drop: (block) => void blocks.delete(block),
  };
  return tier;
}

/** A plugin with tiers. */
export function tierPlugin(...tiers: readonly Tier[]): Plugin {
  return {
    name: "tiers",
    setup: (host) => tiers.forEach((tier) => host.provide("tier", tier)),
  };
}
