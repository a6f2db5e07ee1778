/**
 * Host memory outside the device's own, as a place for blocks.
 *
 * Prefixes that make room on the device go there and come back when they are asked
 * for again; requests that give way keep what they have computed; a context that
 * does not fit on the device is read from there while steps run. On the CPU backend
 * this is memory beyond the 4 GiB that its kernels reach.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { ContentStore, Tier } from "../core/slots.ts";
import type { BlockId } from "../core/types.ts";

/** Settings of `cpuOffload()`. */
export interface CpuOffloadOptions {
  /** Most bytes of blocks. */
  readonly bytes: number;
  /** Place in the order of tiers, 1 or more. Default 1, right below the device. */
  readonly rank?: number;
}

/**
 * Keeps blocks in host memory. Prefixes make room for what running requests put
 * there, the least recently used first.
 *
 * ```ts ignore
 * await load("smollm2", {
 *   budget: "256MiB",
 *   plugins: [pagedAttention(), prefixCache(), cpuOffload({ bytes: 2 ** 30 })],
 * });
 * ```
 *
 * @throws {RangeError} for `bytes` that are no whole number above 0.
 */
export function cpuOffload({ bytes, rank = 1 }: CpuOffloadOptions): Plugin {
  if (!Number.isSafeInteger(bytes) || bytes < 1) {
    throw new RangeError(
      `Cannot offload to "bytes" ${bytes} of host memory: a whole number above 0 is wanted`,
    );
  }
  return {
    name: "cpu-offload",
    setup: (host) => host.provide("tier", hostTier(bytes, rank)),
  };
}

function hostTier(capacity: number, rank: number): Tier {
  const blocks = new Map<BlockId, Uint8Array>();
  // Ascending by use.
  const prefixes = new Map<string, Uint8Array>();
  let used = 0, kept = 0;
  const makeRoom = (bytes: number): boolean => {
    if (used + bytes > capacity) return false;
    for (const [key, old] of prefixes) {
      if (used + kept + bytes <= capacity) break;
      prefixes.delete(key);
      kept -= old.length;
    }
    return true;
  };
  const content: ContentStore = {
    when: "leaving",
    get used() {
      return kept;
    },
    keep(key, bytes) {
      if (prefixes.has(key) || !makeRoom(bytes.length)) return;
      prefixes.set(key, bytes);
      kept += bytes.length;
    },
    find: (keys) => Uint8Array.from(keys, (key) => prefixes.has(key) ? 1 : 0),
    read(key, out) {
      const bytes = content.view!(key);
      if (bytes?.length !== out.length) return "lost";
      out.set(bytes);
      return "ok";
    },
    view(key) {
      const bytes = prefixes.get(key);
      if (bytes === undefined) return undefined;
      prefixes.delete(key);
      prefixes.set(key, bytes);
      return bytes;
    },
  };
  const drop = (block: BlockId): void => {
    used -= blocks.get(block)?.length ?? 0;
    blocks.delete(block);
  };
  return {
    id: "cpu",
    rank,
    capacity,
    content,
    put(block, bytes) {
      drop(block);
      if (!makeRoom(bytes.length)) return;
      blocks.set(block, bytes);
      used += bytes.length;
    },
    get(block, out) {
      const bytes = blocks.get(block);
      if (bytes?.length !== out.length) return "lost";
      out.set(bytes);
      return "ok";
    },
    slice(block, at, out) {
      const bytes = blocks.get(block);
      if (bytes === undefined || bytes.length < at + out.length) return "lost";
      out.set(bytes.subarray(at, at + out.length));
      return "ok";
    },
    view: (block) => blocks.get(block),
    drop,
  };
}
