/**
 * Host memory outside the device's own, as a place for blocks.
 *
 * Requests that give way keep what they have computed there and go on from it,
 * where that costs less than computing it again. On the CPU backend this is memory
 * beyond the 4 GiB that its kernels reach.
 *
 * @module
 */
import type { Plugin } from "../core/plugin.ts";
import type { Tier } from "../core/slots.ts";
import type { BlockId } from "../core/types.ts";

/** Settings of `cpuOffload()`. */
export interface CpuOffloadOptions {
  /** Most bytes of blocks. */
  readonly bytes: number;
  /** Place in the order of tiers, 1 or more. Default 1, right below the device. */
  readonly rank?: number;
}

/**
 * Keeps blocks in host memory.
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
  return {
    id: "cpu",
    rank,
    capacity,
    put: (block, bytes) => void blocks.set(block, bytes),
    get(block, out) {
      const bytes = blocks.get(block);
      if (bytes?.length !== out.length) return "lost";
      out.set(bytes);
      return "ok";
    },
    drop: (block) => void blocks.delete(block),
  };
}
