/**
 * What every tier keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { ContentStore, Sought, Tier } from "../../slots.ts";
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

/** A part of a block, "lost" where the tier does not have it. */
async function slice(
  tier: Tier,
  id: number,
  at: number,
  length: number,
): Promise<Uint8Array | "lost"> {
  const out = new Uint8Array(length);
  return await tier.slice!(block(id), at, out) === "ok" ? out : "lost";
}

/** For whom blocks of tests are. */
const ABOUT: Sought = { salt: "", tokens: 16, fingerprint: "plan" };

/** Keys as the cache has them. */
function key(i: number): string {
  return i.toString(16).padStart(64, "0");
}

async function read(
  store: ContentStore,
  i: number,
  out: Uint8Array,
): Promise<Uint8Array | "lost"> {
  return await store.read(key(i), out, ABOUT) === "ok" ? out : "lost";
}

/** A law of tiers whose blocks can be found by content; holds for others. */
function content(
  says: string,
  check: (store: ContentStore, tier: Tier) => Promise<void>,
): Law<Tier> {
  return {
    says,
    check: async (make) => {
      const tier = await make();
      if (tier.content !== undefined) await check(tier.content, tier);
    },
  };
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
  {
    says: "reads any part of a block, where it reads parts",
    check: async (make) => {
      const tier = await make();
      if (tier.slice === undefined) return;
      const whole = bytes(30_000, 1);
      await tier.put(block(1), whole.slice());
      await tier.put(block(2), bytes(30_000, 2));
      const parts = [[0, 30_000], [0, 1], [4095, 2], [4096, 8192], [29_999, 1]];
      for (const [at, length] of [...parts, [5000, 12_345]]) {
        const out = await slice(tier, 1, at!, length!);
        assertEqual(out, whole.subarray(at!, at! + length!));
      }
      tier.drop(block(1));
      assert.equal(await slice(tier, 1, 0, 64), "lost");
      assert.equal(await slice(tier, 9, 0, 64), "lost");
    },
  },
  {
    says: "has no part of a block beyond its end",
    check: async (make) => {
      const tier = await make();
      if (tier.slice === undefined) return;
      await tier.put(block(1), bytes(5000, 1));
      for (const [at, length] of [[4990, 11], [5000, 1], [9000, 10]]) {
        const out = await slice(tier, 1, at!, length!).catch(() => "lost");
        assert.equal(out, "lost");
      }
    },
  },
  content("says when content is given to it", (store) => {
    assert.ok(["full", "leaving"].includes(store.when), store.when);
    return Promise.resolve();
  }),
  content("finds and reads what was kept by its key", async (store) => {
    const sizes = [16, 1000, 4096, 4097, 12_000];
    for (const [i, size] of sizes.entries()) {
      await store.keep(key(i), bytes(size, i), ABOUT);
    }
    const keys = [3, 7, 0, 1, 9, 4, 2].map(key);
    assertEqual(await store.find(keys, ABOUT), [1, 0, 1, 1, 0, 1, 1], "find()");
    for (let round = 0; round < 2; round++) {
      for (const [i, size] of sizes.entries()) {
        const out = await read(store, i, new Uint8Array(size));
        assertEqual(out, bytes(size, i));
        (out as Uint8Array).fill(0);
      }
    }
  }),
  content("reads many at once, into shared memory too", async (store) => {
    const all = Array.from({ length: 12 }, (_, i) => i);
    await Promise.all(
      all.map((i) => store.keep(key(i), bytes(3000, i), ABOUT)),
    );
    const shared = new SharedArrayBuffer(12 * 3000);
    const outs = await Promise.all(
      all.map((i) =>
        read(
          store,
          i,
          i % 2 ? new Uint8Array(3000) : new Uint8Array(shared, i * 3000, 3000),
        )
      ),
    );
    for (const i of all) assertEqual(outs[i]!, bytes(3000, i), `block ${i}`);
  }),
  content("leaves a key that it has as it is", async (store) => {
    await store.keep(key(1), bytes(500, 1), ABOUT);
    await store.keep(key(1), bytes(500, 2), ABOUT);
    assertEqual(await read(store, 1, new Uint8Array(500)), bytes(500, 1));
  }),
  content(
    "has lost keys that it never had, and other lengths",
    async (store) => {
      await store.keep(key(1), bytes(500, 1), ABOUT);
      for (const [i, length] of [[2, 500], [1, 499], [1, 501], [1, 4096]]) {
        assert.equal(await read(store, i!, new Uint8Array(length!)), "lost");
      }
      assertEqual(await store.find([], ABOUT), [], "find()");
    },
  ),
  content("keeps content and blocks apart", async (store, tier) => {
    await tier.put(block(1), bytes(700, 1));
    await store.keep(key(1), bytes(700, 2), ABOUT);
    assertEqual(await get(tier, 1, 700), bytes(700, 1));
    assertEqual(await read(store, 1, new Uint8Array(700)), bytes(700, 2));
    tier.drop(block(1));
    assert.equal(await get(tier, 1, 700), "lost");
    assertEqual(await read(store, 1, new Uint8Array(700)), bytes(700, 2));
  }),
  content(
    "forgets content when it is full, never gives another's, and keeps blocks",
    async (store, tier) => {
      if (tier.capacity > LARGE) return;
      const size = Math.floor(tier.capacity / 8);
      await tier.put(block(1), bytes(size, 99));
      for (let i = 0; i < 30; i++) {
        await store.keep(key(i), bytes(size, i), ABOUT);
        const out = await read(store, i, new Uint8Array(size));
        if (out !== "lost") assertEqual(out, bytes(size, i));
      }
      let there = 0;
      for (let i = 0; i < 30; i++) {
        const out = await read(store, i, new Uint8Array(size));
        if (out === "lost") continue;
        there++;
        assertEqual(out, bytes(size, i));
      }
      assert.ok(there > 0, "nothing is there");
      assertEqual(await get(tier, 1, size), bytes(size, 99));
    },
  ),
];

/**
 * Registers the laws of a tier as tests. `make` gives an empty one each time, with
 * a capacity of 64 KiB or more; up to 4 MiB it is filled. Laws of `slice` and of
 * `content` hold for tiers without: what a store of content has to do is that a key
 * gives the bytes it was first kept with, or "lost", whatever became of the rest;
 * that it makes room by itself; and that blocks put by number are not what makes it.
 */
export function tierSuite(name: string, make: Make<Tier>): void {
  register(name, tierLaws, make);
}
