/**
 * A tier in a Map, for tests: it can be slow, and it can lose things.
 *
 * @module
 */
import type { Plugin } from "../plugin.ts";
import type { ContentStore, Tier } from "../slots.ts";
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

/** A memory tier that reads parts of blocks, of those that it has not lost. */
export function readableTier(capacity: number, rank = 1): MemoryTier {
  const tier = memoryTier(capacity, rank);
  tier.slice = (block, at, out) => {
    const whole = tier.blocks.get(block);
    if (whole === undefined || tier.loses(block)) return "lost";
    out.set(whole.subarray(at, at + out.length));
    return "ok";
  };
  return tier;
}

/** A memory tier that finds blocks by content too, whatever its capacity. */
export interface ContentTier extends MemoryTier {
  /** What it has by key. */
  readonly shelf: Map<string, Uint8Array>;
  /** Says that it has what it cannot read. */
  forgets: (key: string) => boolean;
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

/** A memory tier with a shelf; `shelf`: one that another has filled. */
export function contentTier(
  when: ContentStore["when"],
  rank = 1,
  shelf: Map<string, Uint8Array> = new Map(),
): ContentTier {
  const answer = <T>(value: T): T | Promise<T> =>
    tier.slow ? Promise.resolve().then(() => value) : value;
  const content: ContentStore = {
    when,
    keep: (key, bytes) => void (shelf.has(key) || shelf.set(key, bytes)),
    find: (keys) =>
      answer(Uint8Array.from(keys, (key) => shelf.has(key) ? 1 : 0)),
    read(key, out) {
      const bytes = shelf.get(key);
      if (bytes === undefined || tier.forgets(key)) {
        shelf.delete(key);
        return answer("lost");
      }
      out.set(bytes);
      return answer("ok");
    },
  };
  const tier: ContentTier = Object.assign(memoryTier(1 << 16, rank), {
    shelf,
    forgets: () => false,
    content,
  });
  return tier;
}

/** A plugin with tiers. */
export function tierPlugin(...tiers: readonly Tier[]): Plugin {
  return {
    name: "tiers",
    setup: (host) => tiers.forEach((tier) => host.provide("tier", tier)),
  };
}
