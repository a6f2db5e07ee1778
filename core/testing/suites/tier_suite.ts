/**
 * What every tier keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { Tier } from "../../slots.ts";
import { block } from "./index_suite.ts";
import { assertEqual, type Law, type Make, register } from "./suite.ts";

/** Bytes that the capacity of a subject has to be at least. */
const LEAST = 1 << 16;
/** Above this a subject is not filled. */
const LARGE = 1 << 22;

function bytes(length: number, seed: number): Uint8Array {
  const out = new Uint8Array(length);
  let x = seed + 1;
  for (let i = 0; i < length; i++) {
    x = Math.imul(x, 1664525) + 1013904223;
    out[i] = x >>> 24;
  }
  return out;
}

/** What a tier gives for a block, "lost" where it has it no more. */
async function get(
  tier: Tier,
  id: number,
  length: number,
): Promise<Uint8Array | "lost"> {
  const out = new Uint8Array(length);
  return await tier.get(block(id), out) === "ok" ? out : "lost";
}

/** The laws of the `tier` slot. */
export const tierLaws: readonly Law<Tier>[] = [
  {
    says: "has a name, a rank below the device, and a capacity",
    check: async (make) => {
      const { id, rank, capacity } = await make();
      assert.ok(id.length > 0);
      assert.ok(Number.isInteger(rank) && rank >= 1, `rank ${rank}`);
      assert.ok(capacity >= LEAST, `${capacity} bytes`);
    },
  },
  {
    says: "gives back what was put, as often as it is asked",
    check: async (make) => {
      const tier = await make();
      const sizes = [1, 16, 1000, 4096, 30_000];
      for (const [i, size] of sizes.entries()) {
        await tier.put(block(i + 1), bytes(size, i));
      }
      for (let round = 0; round < 2; round++) {
        for (const [i, size] of sizes.entries()) {
          const out = await get(tier, i + 1, size);
          assertEqual(out, bytes(size, i));
          (out as Uint8Array).fill(0);
        }
      }
    },
  },
  {
    says: "gives the bytes that were put last",
    check: async (make) => {
      const tier = await make();
      await tier.put(block(1), bytes(64, 1));
      await tier.put(block(2), bytes(64, 2));
      await tier.put(block(1), bytes(64, 3));
      assertEqual(await get(tier, 1, 64), bytes(64, 3));
      assertEqual(await get(tier, 2, 64), bytes(64, 2));
    },
  },
  {
    says: "has lost what was dropped, and what was never put",
    check: async (make) => {
      const tier = await make();
      tier.drop(block(9));
      assert.equal(await get(tier, 9, 64), "lost");
      await tier.put(block(1), bytes(64, 1));
      await tier.put(block(2), bytes(64, 2));
      tier.drop(block(1));
      tier.drop(block(1));
      assert.equal(await get(tier, 1, 64), "lost");
      assertEqual(await get(tier, 2, 64), bytes(64, 2));
      await tier.put(block(1), bytes(64, 5));
      assertEqual(await get(tier, 1, 64), bytes(64, 5));
    },
  },
  {
    says: "has room again for what is dropped, ten times over",
    check: async (make) => {
      const tier = await make();
      if (tier.capacity > LARGE) return;
      const size = Math.floor(tier.capacity / 8);
      for (let i = 1; i <= 80; i++) {
        await tier.put(block(i), bytes(size, i));
        if (i > 8) assert.equal(await get(tier, i - 8, size), "lost");
        if (i >= 8) tier.drop(block(i - 7));
        assertEqual(await get(tier, i, size), bytes(size, i));
      }
    },
  },
  {
    says:
      "refuses or loses what is above its capacity, never gives other bytes",
    check: async (make) => {
      const tier = await make();
      if (tier.capacity > LARGE) return;
      const size = Math.floor(tier.capacity / 3);
      for (let i = 1; i <= 6; i++) {
        try {
          await tier.put(block(i), bytes(size, i));
        } catch {
          // A refusal is as good as a loss.
        }
      }
      let there = 0;
      for (let i = 1; i <= 6; i++) {
        const out = await get(tier, i, size);
        if (out === "lost") continue;
        there++;
        assertEqual(out, bytes(size, i));
      }
      assert.ok(there >= 1, "nothing is there");
    },
  },
  {
    says: "works on many blocks at once",
    check: async (make) => {
      const tier = await make();
      const ids = Array.from({ length: 20 }, (_, i) => i + 1);
      await Promise.all(ids.map((i) => tier.put(block(i), bytes(200, i))));
      const out = await Promise.all(ids.map((i) => get(tier, i, 200)));
      for (const [i, id] of ids.entries()) {
        assertEqual(out[i]!, bytes(200, id));
      }
    },
  },
  {
    says: "takes a put that is given up for lost, or finishes it",
    check: async (make) => {
      const tier = await make();
      const signal = AbortSignal.abort();
      try {
        await tier.put(block(1), bytes(64, 1), signal);
      } catch {
        // Given up.
      }
      const out = await get(tier, 1, 64);
      if (out !== "lost") assertEqual(out, bytes(64, 1));
    },
  },
];

/**
 * Registers the laws of a tier as tests. `make` gives an empty one each time, with
 * a capacity of 64 KiB or more; up to 4 MiB it is filled.
 */
export function tierSuite(name: string, make: Make<Tier>): void {
  register(name, tierLaws, make);
}
