/**
 * What every eviction keeps.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { BlockContent, Eviction, PrefixIndex } from "../../slots.ts";
import type { BlockId } from "../../types.ts";
import { dice } from "../cache_driver.ts";
import { block, content } from "./index_suite.ts";
import { type Law, type Make, register } from "./suite.ts";

/** An eviction, and the index that it is told things by, where it has one. */
export interface EvictionSubject {
  readonly evict: Eviction;
  readonly index?: PrefixIndex;
}

/** Uses an eviction the way the cache does. */
class Blocks {
  readonly idle = new Set<BlockId>();
  readonly #keys = new Map<BlockId, string>();
  readonly #chains = new Map<BlockId, readonly number[]>();
  readonly #s: EvictionSubject;

  constructor(subject: EvictionSubject) {
    this.#s = subject;
  }

  /** A full block in use, behind another or at the start of a chain. */
  seal(id: number, parent = 0, more: Partial<BlockContent> = {}): void {
    const before = this.#chains.get(block(parent)) ?? [];
    const chain = [...before, id, id, id, id];
    const key = `k${id}`;
    this.#keys.set(block(id), key);
    this.#chains.set(block(id), chain);
    const behind = this.#keys.get(block(parent)) ?? "";
    this.#s.index?.set(key, block(id), content(behind, chain, more));
  }

  release(...ids: readonly number[]): void {
    for (const id of ids) {
      this.idle.add(block(id));
      this.#s.evict.touch(block(id));
    }
  }

  retain(id: number): void {
    this.idle.delete(block(id));
    this.#s.evict.forget(block(id));
  }

  /** Another sequence begins with it. */
  use(id: number, priority: number): void {
    this.#s.index?.use?.(block(id), priority);
  }

  victims(): BlockId[] {
    return [...this.#s.evict.victims()];
  }

  /** Gives up what is named first; 0 for nothing. */
  evict(): number {
    for (const id of this.#s.evict.victims()) {
      assert.ok(this.idle.has(id), `block ${id} is in use, or gone`);
      this.idle.delete(id);
      this.#s.evict.forget(id);
      this.#s.index?.delete(this.#keys.get(id)!);
      return id;
    }
    return 0;
  }

  /** The order in which all go. */
  evictAll(): number[] {
    const out: number[] = [];
    for (let id = this.evict(); id !== 0; id = this.evict()) out.push(id);
    assert.equal(this.idle.size, 0, `${[...this.idle]} stay for ever`);
    return out;
  }
}

async function blocks(make: Make<EvictionSubject>): Promise<Blocks> {
  return new Blocks(await make());
}

/** The laws of the `evict` slot. */
export const evictionLaws: readonly Law<EvictionSubject>[] = [
  {
    says: "names nothing where nothing is idle",
    check: async (make) => {
      const b = await blocks(make);
      assert.deepEqual(b.victims(), []);
      b.seal(1);
      assert.deepEqual(b.victims(), []);
      b.release(1);
      b.retain(1);
      assert.deepEqual(b.victims(), []);
    },
  },
  {
    says: "names exactly the idle blocks",
    check: async (make) => {
      const b = await blocks(make);
      const roll = dice(19);
      for (let id = 1; id <= 40; id++) b.seal(id, id % 5 === 0 ? 0 : id - 1);
      for (let i = 0; i < 400; i++) {
        const id = 1 + roll(40);
        if (b.idle.has(block(id))) b.retain(id);
        else b.release(id);
        const named = new Set(b.victims());
        assert.deepEqual([...named].sort(byNumber), [...b.idle].sort(byNumber));
      }
    },
  },
  {
    says: "gives up each idle block once, and no other",
    check: async (make) => {
      const b = await blocks(make);
      for (let id = 1; id <= 30; id++) b.seal(id, id % 4 === 0 ? 0 : id - 1);
      b.release(...Array.from({ length: 30 }, (_, i) => 30 - i));
      b.retain(7);
      b.retain(21);
      const order = b.evictAll();
      assert.equal(order.length, 28);
      assert.equal(new Set(order).size, 28);
      assert.ok(!order.includes(7) && !order.includes(21));
    },
  },
  {
    says: "gives up the block that was used least recently",
    check: async (make) => {
      const b = await blocks(make);
      for (let id = 1; id <= 5; id++) b.seal(id);
      b.release(3, 1, 4, 5, 2);
      b.retain(3);
      b.release(3);
      b.release(1);
      assert.deepEqual(b.evictAll(), [4, 5, 2, 3, 1]);
    },
  },
  {
    says: "takes a block that comes again, under the same number",
    check: async (make) => {
      const b = await blocks(make);
      for (let round = 0; round < 3; round++) {
        b.seal(1);
        b.seal(2);
        b.release(2, 1);
        assert.deepEqual(b.evictAll(), [2, 1]);
      }
    },
  },
];

/** For evictions that keep chains whole at their head. */
export const chainLaws: readonly Law<EvictionSubject>[] = [
  {
    says: "gives up a chain's tail before its head, though the head is older",
    check: async (make) => {
      const b = await blocks(make);
      b.seal(1);
      b.seal(2, 1);
      b.seal(3, 2);
      b.release(1, 2, 3);
      assert.deepEqual(b.evictAll(), [3, 2, 1]);
    },
  },
  {
    says: "gives up every branch before what they share",
    check: async (make) => {
      const b = await blocks(make);
      b.seal(1);
      b.seal(2, 1);
      b.seal(3, 2);
      b.seal(4, 1);
      b.release(1, 4, 3, 2);
      const order = b.evictAll();
      assert.equal(order.at(-1), 1);
      assert.ok(order.indexOf(3) < order.indexOf(2));
    },
  },
  {
    says: "spares a block that one in use needs, while there is another",
    check: async (make) => {
      const b = await blocks(make);
      b.seal(1);
      b.seal(2, 1);
      b.seal(9);
      b.release(1, 9);
      assert.deepEqual(b.evictAll(), [9, 1]);
    },
  },
  {
    says: "takes windowed blocks by their age alone",
    check: async (make) => {
      const b = await blocks(make);
      const windowed = { chained: false };
      b.seal(1, 0, windowed);
      b.seal(2, 1, windowed);
      b.seal(3, 2, windowed);
      b.release(1, 2, 3);
      assert.deepEqual(b.evictAll(), [1, 2, 3]);
    },
  },
  {
    says: "spares a head that was computed again while its tail is there",
    check: async (make) => {
      const subject = await make();
      const b = new Blocks(subject);
      b.seal(1);
      b.seal(2, 1);
      b.release(2);
      // The head is opened for writing, then holds the same again.
      subject.index?.delete("k1");
      b.seal(1);
      b.release(1);
      b.retain(2);
      b.release(2);
      assert.deepEqual(b.evictAll(), [2, 1]);
    },
  },
];

/** For evictions that look at what blocks are worth. */
export const priorityLaws: readonly Law<EvictionSubject>[] = [
  {
    says: "gives up what is worth least, however recently it was used",
    check: async (make) => {
      const b = await blocks(make);
      b.seal(1, 0, { priority: 2 });
      b.seal(2, 0, { priority: 0 });
      b.seal(3, 0, { priority: 1 });
      b.seal(4, 0, { priority: -1 });
      b.release(1, 2, 3, 4);
      assert.deepEqual(b.evictAll(), [4, 2, 3, 1]);
    },
  },
  {
    says: "takes a block for worth more once it is used so, idle or not",
    check: async (make) => {
      const b = await blocks(make);
      for (let id = 1; id <= 4; id++) b.seal(id);
      b.use(2, 1);
      b.release(1, 2, 3, 4);
      b.use(1, 5);
      b.use(3, -2);
      assert.deepEqual(b.evictAll(), [3, 4, 2, 1]);
    },
  },
  {
    says: "takes a head for worth as much as what needs it",
    check: async (make) => {
      const b = await blocks(make);
      b.seal(1);
      b.seal(2, 1);
      b.seal(3, 2, { priority: 4 });
      b.seal(8, 0, { priority: 3 });
      b.release(1, 2, 3, 8);
      assert.deepEqual(b.evictAll(), [8, 3, 2, 1]);
    },
  },
];

/** What an eviction claims beyond the laws of its slot. */
export interface EvictionClaims {
  readonly chains?: boolean;
  readonly priorities?: boolean;
}

/** Registers the laws of an eviction as tests. */
export function evictionSuite(
  name: string,
  make: Make<EvictionSubject>,
  { chains = false, priorities = false }: EvictionClaims = {},
): void {
  register(name, evictionLaws, make);
  if (chains) register(name, chainLaws, make);
  if (priorities) register(name, priorityLaws, make);
}

function byNumber(a: number, b: number): number {
  return a - b;
}
