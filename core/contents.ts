/**
 * Blocks that tiers have by their content: where they are, and giving them there.
 *
 * @module
 */
import type { DeviceMemory } from "./backend.ts";
import type { BlockStore } from "./block_store.ts";
import type { CachePlan, GroupPlan } from "./plan.ts";
import type { ContentStore, Sought, Tier } from "./slots.ts";
import type { MaybePromise } from "./types.ts";
import { blockCodec, readBlock } from "./tier_bytes.ts";

/** Keys whose places are remembered; older ones are asked for again. */
const MOST_KNOWN = 1 << 16;

/** A prompt that waits may take one such part of a near tier. */
const PROMOTED = 4;

/** A tier that finds blocks by content. */
interface Shelf {
  /** Its place among the plan's tiers. */
  readonly at: number;
  readonly tier: Tier;
  readonly content: ContentStore;
}

/** The content stores of one cache. */
export class Contents {
  readonly #shelves: readonly Shelf[];
  readonly #groups: readonly GroupPlan[];
  readonly #fingerprint: string;
  readonly #memory: DeviceMemory;
  /** What stores said that could not answer at once: key to tier. */
  readonly #known = new Map<string, number>();
  /** Salts of blocks with a key, by id. */
  readonly #salts: (string | undefined)[] = [];

  /** Takes those of the plan's tiers that have any. */
  constructor(plan: CachePlan, memory: DeviceMemory) {
    this.#groups = plan.groups;
    this.#fingerprint = plan.fingerprint;
    this.#memory = memory;
    this.#shelves = plan.tiers.flatMap((tier, at) =>
      tier.content === undefined ? [] : [{ at, tier, content: tier.content }]
    );
  }

  /** Whether there are any. */
  get any(): boolean {
    return this.#shelves.length > 0;
  }

  /** Whom blocks are for, as stores are told. */
  about(salt: string, tokens: number): Sought {
    return { salt, tokens, fingerprint: this.#fingerprint };
  }

  /**
   * Which tier has each key, the nearest; -1: none that is known now. `tokens`: of
   * one block.
   */
  find(keys: readonly string[], salt: string, tokens: number): Int16Array {
    const out = new Int16Array(keys.length).fill(-1);
    const about = this.about(salt, keys.length * tokens);
    for (const { at, content } of this.#shelves) {
      const there = this.#look(content, keys, about);
      if (there instanceof Promise) {
        there.catch(() => {});
        for (const [i, key] of keys.entries()) {
          if (out[i] === -1 && this.#known.get(key) === at) out[i] = at;
        }
        continue;
      }
      for (let i = 0; i < keys.length; i++) {
        if (out[i] === -1 && there[i] === 1) out[i] = at;
      }
    }
    return out;
  }

  /**
   * Asks the stores that cannot answer at once; what they say is known when the
   * promise resolves. It never rejects. Undefined: there are none.
   */
  seek(
    keys: readonly string[],
    salt: string,
    tokens: number,
  ): Promise<unknown> | undefined {
    const about = this.about(salt, keys.length * tokens);
    const asked: Promise<void>[] = [];
    for (const { at, content } of this.#shelves) {
      const there = this.#look(content, keys, about);
      if (!(there instanceof Promise)) continue;
      asked.push(there.then((is) => {
        for (const [i, key] of keys.entries()) {
          if (is[i] === 1) this.#remember(key, at);
          else if (this.#known.get(key) === at) this.#known.delete(key);
        }
      }, () => {}));
    }
    return asked.length === 0 ? undefined : Promise.all(asked);
  }

  #look(
    content: ContentStore,
    keys: readonly string[],
    about: Sought,
  ): ReturnType<ContentStore["find"]> {
    try {
      return content.find(keys, about);
    } catch {
      return new Uint8Array(keys.length);
    }
  }

  #remember(key: string, at: number): void {
    const old = this.#known.get(key);
    if (old !== undefined && old <= at) return;
    if (this.#known.size >= MOST_KNOWN) {
      this.#known.delete(this.#known.keys().next().value!);
    }
    this.#known.set(key, at);
  }

  /** The bytes of a block, where a tier has them at hand; it counts as a use. */
  view(tier: number, key: string): Uint8Array | undefined {
    try {
      return this.#shelves.find((s) => s.at === tier)?.content.view?.(key);
    } catch {
      return undefined;
    }
  }

  /** A store has it no more. */
  forget(key: string): void {
    this.#known.delete(key);
  }

  /**
   * Brings blocks of a prompt that is to be computed soon from tiers that are slow to
   * one that is near, where there is one, while others compute. `keys[b]`: of block
   * `from + b`.
   */
  promote(
    keys: readonly string[],
    from: number,
    group: number,
    salt: string,
    store: BlockStore,
  ): void {
    const near = this.#shelves.find((s) => s.content.when === "leaving");
    if (near === undefined || keys.length === 0) return;
    const { shape: { tokens }, tierCodecs } = this.#groups[group]!;
    const about = this.about(salt, keys.length * tokens);
    let room = near.tier.capacity / PROMOTED;
    for (const [i, at] of this.find(keys, salt, tokens).entries()) {
      const far = this.#shelves.find((s) => s.at === at);
      if (far === undefined || far.at <= near.at) continue;
      const codec = tierCodecs.get(far.tier.id);
      // What is coded otherwise there would have to be coded again.
      if (codec !== tierCodecs.get(near.tier.id)) continue;
      const bytes = codec?.bytes(this.#groups[group]!.shape) ??
        store.fullBytes(group, from + i);
      if ((room -= bytes) < 0) return;
      const out = new Uint8Array(new SharedArrayBuffer(bytes));
      const keep = async (
        found: MaybePromise<"ok" | "lost">,
      ): Promise<void> => {
        if (await found === "ok") await near.content.keep(keys[i]!, out, about);
      };
      try {
        // What fails is asked again when the request runs.
        keep(far.content.read(keys[i]!, out, about)).catch(() => {});
      } catch {
        return;
      }
    }
  }

  /** A block has become full and has a key. */
  full(id: number, key: string, salt: string, store: BlockStore): void {
    if (this.any) this.#give("full", id, key, salt, store);
  }

  /** A block has a key, of a request with this salt. */
  mark(id: number, salt: string): void {
    if (this.any) this.#salts[id] = salt;
  }

  /** The device is about to give up an idle block. */
  leaving(id: number, key: string, store: BlockStore): void {
    if (this.any) this.#give("leaving", id, key, this.#salts[id] ?? "", store);
  }

  #give(
    when: ContentStore["when"],
    id: number,
    key: string,
    salt: string,
    store: BlockStore,
  ): void {
    const group = this.#groups[store.group(id)]!;
    for (const { tier, content } of this.#shelves) {
      if (content.when !== when) continue;
      const about = this.about(salt, group.shape.tokens);
      if (when === "leaving") {
        // It may have come from there.
        const there = this.#look(content, [key], about);
        if (there instanceof Promise) there.catch(() => {});
        else if (there[0] === 1) continue;
      }
      const codec = blockCodec(this.#groups, tier.id, id, store);
      const bytes = new Uint8Array(
        codec?.bytes(group.shape) ?? store.blockBytes(id),
      );
      if (!readBlock(this.#groups, this.#memory, id, codec, bytes, store)) {
        continue;
      }
      try {
        const kept = content.keep(key, bytes, about);
        if (kept instanceof Promise) kept.catch(() => {});
      } catch {
        continue; // Not kept: a miss, later.
      }
      store.emitMove(id, "device", tier.id);
    }
  }
}
