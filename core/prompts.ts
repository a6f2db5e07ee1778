/**
 * What is there of prompts already: on the device, in tiers, or to be computed.
 *
 * @module
 */
import { adopt, forgive, loadSeconds, noteUse } from "./adopt.ts";
import type { BlockStore } from "./block_store.ts";
import type { KeyChain } from "./content_key.ts";
import type { CachePlan } from "./plan.ts";
import { findPrefix, missingKeys, type PrefixPlaces } from "./prefix.ts";
import type { Sequence } from "./sequence.ts";
import type { Miss, MissReason } from "./slots.ts";

/** Seconds that positions [from, end) of a sequence's prompt take to compute. */
export type ComputeSeconds = (from: number, end: number) => number;

/** Looks prompts up, and counts what it finds. */
export class Prompts {
  /** Prompts of which something was found, and how many positions. */
  hits = 0;
  hitTokens = 0;
  /** Of those positions, from tiers. */
  fetchedTokens = 0;
  /** Prompts of which tiers had more than was worth loading. */
  declined = 0;
  readonly misses: Record<MissReason, number> = {
    short: 0,
    differs: 0,
    unseen: 0,
    evicted: 0,
    salted: 0,
    adapters: 0,
    unwanted: 0,
    off: 0,
  };
  readonly #plan: CachePlan;
  readonly #store: BlockStore;
  /** Undefined where nothing is found by content. */
  readonly #places: PrefixPlaces | undefined;

  /** `chains`: content addresses, by group. */
  constructor(
    plan: CachePlan,
    store: BlockStore,
    chains: readonly KeyChain[],
  ) {
    const { groups, index } = plan;
    this.#plan = plan;
    this.#store = store;
    this.#places = index && { groups, index, store, chains };
  }

  /**
   * Gives a new sequence what is there of its prompt, never its last token. Returns
   * why it does not begin with more. `reuse`, `tiers`: see `OpenOptions`.
   */
  begin(
    s: Sequence,
    prompt: ArrayLike<number>,
    { reuse = true, tiers = true }: { reuse?: boolean; tiers?: boolean },
    seconds: ComputeSeconds,
  ): Miss | undefined {
    const places = reuse ? this.#places : undefined;
    if (places === undefined) {
      const reason = reuse ? "off" : "unwanted";
      return this.#missed(s, { reason, position: 0, block: 0, group: 0 });
    }
    const hit = findPrefix(prompt, s.salt, places, !tiers);
    let wanted = hit.length;
    if (wanted > hit.here) {
      if (loadSeconds(hit, places) >= seconds(hit.here, wanted)) {
        wanted = hit.here;
        this.declined++;
        forgive(hit, places);
      }
    }
    if (wanted === 0) return this.#missed(s, hit.miss);
    s.length = adopt(s, hit, wanted, prompt, places);
    noteUse(s, this.#plan);
    s.write(prompt, 0, s.length, 0);
    if (s.length > 0) {
      this.hits++;
      this.hitTokens += s.length;
      this.fetchedTokens += Math.max(0, s.length - hit.here);
      this.#emit({ type: "hit", seq: s.id, tokens: s.length });
    }
    return this.#missed(s, hit.miss);
  }

  /** Counts a miss, of all of a prompt or of the rest of it. */
  #missed(s: Sequence, miss: Miss | undefined): Miss | undefined {
    if (miss === undefined) return undefined;
    this.misses[miss.reason]++;
    this.#emit({ type: "miss", seq: s.id, miss });
    return miss;
  }

  #emit(event: Parameters<BlockStore["emit"]>[0]): void {
    if (this.#plan.observe.length > 0) this.#store.emit(event);
  }

  /** See `KVCache.seek()`. */
  seek(prompt: ArrayLike<number>, salt: string): Promise<unknown> | undefined {
    const places = this.#places, { contents } = this.#store;
    if (places === undefined || !contents.any) return undefined;
    const asked = missingKeys(prompt, salt, places).map(({ keys }, g) =>
      keys.length === 0
        ? undefined
        : contents.seek(keys, salt, this.#plan.groups[g]!.shape.tokens)
    ).filter((p) => p !== undefined);
    return asked.length === 0 ? undefined : Promise.all(asked);
  }

  /** See `KVCache.promote()`. */
  promote(prompt: ArrayLike<number>, salt: string): void {
    const places = this.#places, { contents } = this.#store;
    if (places === undefined || !contents.any) return;
    for (
      const [g, { from, keys }] of missingKeys(prompt, salt, places).entries()
    ) contents.promote(keys, from, g, salt, this.#store);
  }

  /** See `KVCache.sharedBytes()`. */
  sharedBytes(prompt: ArrayLike<number>, salt: string): number {
    const store = this.#store;
    if (this.#places === undefined) return 0;
    const { blocks } = findPrefix(prompt, salt, this.#places, true);
    let bytes = 0;
    for (const ids of blocks) {
      for (const id of ids) {
        if (id > 0 && store.refs(id) > 0) bytes += store.blockBytes(id);
      }
    }
    return bytes;
  }
}
