/**
 * Blocks on their way out of a cache and back into one, by what they hold.
 *
 * ```text
 *  tokens    | block 0 | block 1 | … | block n-1 | rest, computed anew |
 *  full      |    x    |    x    | x |     x     |
 *  windowed  |  sinks  |         |   |  x, what the query at `length` sees
 * ```
 *
 * Nothing is held meanwhile: a block that is copied out may be gone when its turn
 * comes, and one that is copied in is idle at once. So neither ever keeps a request
 * from running, however long the copying takes.
 *
 * @module
 */
import { anyonesSalt } from "./adapters.ts";
import { isSeen } from "./adopt.ts";
import type { DeviceMemory } from "./backend.ts";
import type { BlockStore } from "./block_store.ts";
import type { KeyChain } from "./content_key.ts";
import type { CachePlan, GroupPlan } from "./plan.ts";
import { findPrefix, leastMultiple } from "./prefix.ts";
import { writeBlock } from "./tier_bytes.ts";
import type { MaybePromise } from "./types.ts";

/** Which start of the tokens, and whose. */
export interface KeptOptions {
  /** As for `open()`. Default "". */
  readonly salt?: string;
  /** What blocks that are copied in are worth to an index. Default 0. */
  readonly priority?: number;
  /** Positions, a multiple of every group's block. Default: all that is there. */
  readonly length?: number;
}

/** One block of the prefix. */
export interface KeptBlock {
  /** Layer group. */
  readonly group: number;
  /** Counted from the start of the sequence. */
  readonly index: number;
  /** One past its last position. */
  readonly end: number;
  /** Its content address, and that of the block before it, "" for none. */
  readonly key: string;
  /** See `key`. */
  readonly parent: string;
  /** Says all that its bytes depend on, as the key does, but not whose it is. */
  readonly content: string;
  /** Bytes as they are on the device: the parts of it one after another. */
  readonly bytes: number;
}

/** The blocks that a sequence beginning with `length` of the tokens has. */
export class KeptPrefix {
  /** Positions. */
  readonly length: number;
  /** Ascending by where they end. */
  readonly blocks: readonly KeptBlock[];
  readonly #plan: CachePlan;
  readonly #store: BlockStore;
  readonly #memory: DeviceMemory;
  readonly #chains: readonly KeyChain[];
  readonly #tokens: Int32Array;
  readonly #salt: string;
  readonly #priority: number;
  /** Blocks that were copied in, by id, and the evictions by then. */
  readonly #planted = new Map<number, KeptBlock>();
  #evictions: number;
  /** There is no room for more; undefined: not looked yet. */
  #full: boolean | undefined;

  /** See `KVCache.keptPrefix()`. Throws a RangeError for a length out of bounds. */
  constructor(
    plan: CachePlan,
    store: BlockStore,
    memory: DeviceMemory,
    chains: readonly KeyChain[],
    tokens: ArrayLike<number>,
    { salt = "", priority = 0, length }: KeptOptions,
  ) {
    this.#plan = plan;
    this.#store = store;
    this.#memory = memory;
    this.#chains = chains;
    this.#tokens = Int32Array.from(tokens);
    this.#salt = salt;
    this.#priority = priority;
    this.#evictions = store.evictions;
    this.length = length ?? this.#look(false);
    const uneven = plan.groups.some((g) => this.length % g.shape.tokens !== 0);
    if (uneven || !(this.length >= 0 && this.length <= tokens.length)) {
      throw new RangeError(
        `Cannot keep the first ${this.length} of ${tokens.length} positions: blocks of ${
          plan.groups.map((g) => g.shape.tokens).join(", ")
        } do not end there`,
      );
    }
    this.blocks = plan.index === undefined ? [] : plan.groups
      .flatMap((g, i) => this.#blocksOf(g, i))
      .sort((a, b) => a.end - b.end || a.group - b.group);
  }

  /** How many positions a sequence that goes on behind the tokens would find here. */
  get found(): number {
    return this.#look(true);
  }

  #look(deviceOnly: boolean): number {
    const { groups, index } = this.#plan;
    if (index === undefined) return 0;
    // The last token of a prompt is never looked for: one more makes all these count.
    const prompt = new Int32Array(this.#tokens.length + 1);
    prompt.set(this.#tokens);
    const store = this.#store, chains = this.#chains;
    const places = { groups, index, store, chains };
    return findPrefix(prompt, this.#salt, places, deviceOnly).length;
  }

  /** Positions that the first `count` of the blocks are enough for. */
  reach(count: number): number {
    const { groups } = this.#plan, next = this.blocks[count];
    if (next === undefined) return this.length;
    // Of a window, a part is of no use.
    if (groups.some((g) => !g.sight.full)) return 0;
    const step = groups.map((g) => g.shape.tokens).reduce(leastMultiple);
    return Math.floor((next.end - 1) / step) * step;
  }

  /**
   * Copies a block to `out`, of its `bytes`, from the device or a tier that has it as
   * it is there; false: it is not there any more.
   */
  read(block: KeptBlock, out: Uint8Array): MaybePromise<boolean> {
    const id = this.#store.find(block.key, block.group);
    if (id === 0 || !this.#store.isPlaced(id) || this.#store.isAway(id)) {
      return this.#fetch(block, out);
    }
    const waits: Promise<void>[] = [];
    let at = 0;
    for (const span of this.#store.spans(id)) {
      const part = out.subarray(at, at += span.bytes);
      const wait = this.#memory.read(span, part);
      if (wait !== undefined) waits.push(wait);
    }
    return waits.length === 0 ? true : Promise.all(waits).then(() => true);
  }

  #fetch({ key, group }: KeptBlock, out: Uint8Array): MaybePromise<boolean> {
    const { contents } = this.#store, salt = this.#salt;
    if (!contents.any) return false;
    const { shape: { tokens }, tierCodecs } = this.#plan.groups[group]!;
    const [at = -1] = contents.find([key], salt, tokens);
    const tier = this.#plan.tiers[at];
    if (tier?.content === undefined || tierCodecs.has(tier.id)) return false;
    try {
      const got = tier.content.read(key, out, contents.about(salt, tokens));
      return got instanceof Promise
        ? got.then((g) => g === "ok", () => false)
        : got === "ok";
    } catch {
      return false;
    }
  }

  /**
   * Puts a block where sequences find it, idle. Blocks come in order. False: there is
   * no room, not even in place of other idle ones, and so none for later ones.
   */
  plant(block: KeptBlock, bytes: Uint8Array): boolean {
    const store = this.#store, { key, group } = block;
    this.#full ??= !this.#fits();
    if (this.#full) return false;
    const there = store.find(key, group);
    if (there !== 0) {
      // Used now: what is evicted for later ones is another.
      store.retain(there);
      this.#keep(block, there);
    } else {
      const id = this.#hasRoom(block) ? store.takeFull(group, block.index) : 0;
      // Room that what came before had to make is none.
      if (id === 0 || this.#lost()) {
        if (id !== 0) store.release(id);
        this.#full = true;
        return false;
      }
      this.#write(block, id, bytes);
      this.#keep(block, id);
    }
    return !(this.#full = this.#lost());
  }

  #write(
    { key, parent, group, index }: KeptBlock,
    id: number,
    bytes: Uint8Array,
  ) {
    const store = this.#store, { shape, sight } = this.#plan.groups[group]!;
    const { groups } = this.#plan;
    writeBlock(groups, this.#memory, id, undefined, bytes, store);
    store.name(id, key, {
      parent,
      tokens: this.#tokens,
      from: index * shape.tokens,
      to: (index + 1) * shape.tokens,
      group,
      chained: sight.full,
      priority: this.#priority,
      salt: this.#salt,
    });
  }

  /** The block is idle from now on. */
  #keep(block: KeptBlock, id: number): void {
    this.#planted.set(id, block);
    this.#store.release(id);
  }

  /** Whether a block fits without one that was planted giving way. */
  #hasRoom({ bytes }: KeptBlock): boolean {
    const { places, idleBytes } = this.#store;
    const { mostBytes = Infinity } = this.#plan.evict;
    if (places.free >= bytes && idleBytes + bytes <= mostBytes) return true;
    const victim = this.#store.victim();
    return victim !== 0 && !this.#planted.has(victim);
  }

  /** Whether one that was planted has been evicted since. */
  #lost(): boolean {
    const store = this.#store;
    if (store.evictions === this.#evictions) return false;
    this.#evictions = store.evictions;
    for (const [id, { key, group }] of this.#planted) {
      if (store.find(key, group) !== id) return true;
    }
    return false;
  }

  /** Whether there is room for all of it, where a part is of no use. */
  #fits(): boolean {
    const { groups, evict } = this.#plan, store = this.#store;
    if (groups.every((g) => g.sight.full)) return true;
    let bytes = 0;
    for (const b of this.blocks) bytes += b.bytes;
    return bytes <= Math.min(store.available, evict.mostBytes ?? Infinity);
  }

  /** What the query at `length` sees in one group. */
  #blocksOf(plan: GroupPlan, group: number): KeptBlock[] {
    const { tokens } = plan.shape, end = this.length / tokens;
    const chain = this.#chains[group]!, digest = new Uint8Array(32);
    const anyones = new Uint8Array(32), open = anyonesSalt(this.#salt);
    const salted = this.#salt !== open;
    chain.reset(digest, this.#salt);
    chain.reset(anyones, open);
    const out: KeptBlock[] = [];
    let parent = "";
    for (let index = 0; index < end; index++) {
      chain.advance(digest, this.#tokens, index * tokens);
      const key = chain.key(digest);
      if (salted) chain.advance(anyones, this.#tokens, index * tokens);
      const content = salted ? chain.key(anyones) : key;
      if (isSeen(plan, index, this.length)) {
        const bytes = this.#store.fullBytes(group, index);
        const ends = (index + 1) * tokens;
        out.push({ group, index, end: ends, key, parent, content, bytes });
      }
      parent = key;
    }
    return out;
  }
}
