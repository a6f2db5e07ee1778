/**
 * What every prefix index keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { BlockContent, MissReason, PrefixIndex } from "../../slots.ts";
import type { BlockId } from "../../types.ts";
import { dice } from "../cache_driver.ts";
import { type Law, type Make, register } from "./suite.ts";

/** Block ids are numbers from 1 on. */
export function block(id: number): BlockId {
  return id as BlockId;
}

/** Content of 4 tokens behind `parent`, as the cache tells it. */
export function content(
  parent: string,
  tokens: readonly number[],
  more: Partial<BlockContent> = {},
): BlockContent {
  return {
    parent,
    tokens,
    from: tokens.length - 4,
    to: tokens.length,
    group: 0,
    chained: true,
    priority: 0,
    salt: "",
    ...more,
  };
}

const REASONS: readonly MissReason[] = [
  "differs",
  "unseen",
  "evicted",
  "salted",
  "adapters",
];

/** The laws of the `index` slot. */
export const indexLaws: readonly Law<PrefixIndex>[] = [
  {
    says: "knows no key that nobody set",
    check: async (make) => {
      const index = await make();
      assert.equal(index.get("a"), undefined);
      index.set("a", block(1), content("", [1, 2, 3, 4]));
      for (const key of ["", "b", "aa", "A"]) {
        assert.equal(index.get(key), undefined, `key "${key}"`);
      }
    },
  },
  {
    says: "gives the block that was set last for a key",
    check: async (make) => {
      const index = await make();
      const at = content("", [1, 2, 3, 4]);
      index.set("a", block(7), at);
      assert.equal(index.get("a"), 7);
      index.set("a", block(8), at);
      assert.equal(index.get("a"), 8);
      index.set("b", block(9), content("a", [1, 2, 3, 4, 5, 6, 7, 8]));
      assert.deepEqual([index.get("a"), index.get("b")], [8, 9]);
    },
  },
  {
    says: "forgets what is deleted, and nothing else",
    check: async (make) => {
      const index = await make();
      index.delete("nobody");
      index.set("a", block(1), content("", [1, 2, 3, 4]));
      index.set("b", block(2), content("a", [1, 2, 3, 4, 5, 6, 7, 8]));
      index.set("c", block(3), content("", [9, 2, 3, 4]));
      index.delete("a");
      index.delete("a");
      const left = ["a", "b", "c"].map((k) => index.get(k));
      assert.deepEqual(left, [undefined, 2, 3]);
      index.set("a", block(4), content("", [1, 2, 3, 4]));
      assert.equal(index.get("a"), 4);
    },
  },
  {
    says: "keeps no hold of the tokens it was shown",
    check: async (make) => {
      const index = await make();
      const tokens = new Int32Array([1, 2, 3, 4]);
      index.set("a", block(1), content("", [...tokens], { tokens }));
      const asked = content("", [1, 2, 7, 4]);
      const before = index.why?.("x", asked);
      tokens.fill(0);
      assert.equal(index.get("a"), 1);
      assert.deepEqual(index.why?.("x", asked), before);
    },
  },
  {
    says: "shares nothing with another of its kind",
    check: async (make) => {
      const a = await make(), b = await make();
      a.set("k", block(1), content("", [1, 2, 3, 4]));
      assert.equal(b.get("k"), undefined);
    },
  },
  {
    says: "is not troubled by the use of blocks, known or not",
    check: async (make) => {
      const index = await make();
      index.use?.(block(99), 3);
      index.set("a", block(1), content("", [1, 2, 3, 4]));
      index.use?.(block(1), 3);
      index.use?.(block(1), -1);
      assert.equal(index.get("a"), 1);
      index.delete("a");
      index.use?.(block(1), 5);
      assert.equal(index.get("a"), undefined);
    },
  },
  {
    says: "says of a missing key why, and from which position on",
    check: async (make) => {
      const index = await make();
      if (index.why === undefined) return;
      const roll = dice(5);
      for (let i = 0; i < 300; i++) {
        const tokens = Array.from({ length: 4 }, () => roll(2));
        const root = `${i % 3}/${tokens}`;
        const salt = `${i % 3}`;
        index.set(root, block(i + 1), content("", tokens, { salt }));
        const next = [...tokens, roll(2), roll(2), roll(2), roll(2)];
        const asked = content(root, next, { salt });
        const miss = index.why(`missing ${i}`, asked);
        assert.ok(REASONS.includes(miss.reason), miss.reason);
        assert.ok(miss.position >= 4 && miss.position <= 8, `${miss.position}`);
      }
    },
  },
  {
    says: "agrees with a Map over 20,000 changes",
    check: async (make) => {
      const index = await make();
      const map = new Map<string, BlockId>();
      const roll = dice(31);
      for (let i = 0; i < 20_000; i++) {
        const n = roll(60);
        const chain = Array.from({ length: 4 * (1 + n % 5) }, (_, j) => n + j);
        const key = `k${n}`;
        if (roll(3) === 0) {
          map.delete(key);
          index.delete(key);
        } else if (!map.has(key)) {
          map.set(key, block(i + 1));
          const parent = n % 5 > 0 ? `k${n - 1}` : "";
          index.set(key, block(i + 1), content(parent, chain));
        }
        const asked = `k${roll(60)}`;
        assert.equal(index.get(asked), map.get(asked));
      }
    },
  },
];

/** Registers the laws of an index as tests. */
export function indexSuite(name: string, make: Make<PrefixIndex>): void {
  register(name, indexLaws, make);
}
