/**
 * Blocks in the places below the device's memory.
 *
 * A block is copied down whole, as it is on the device, its parts one after another;
 * a full one as the codec of its group and tier makes it, where there is one. What
 * a tier cannot give back is lost, never wrong: whoever wants it
 * computes it again.
 *
 * @module
 */
import type { DeviceMemory } from "./backend.ts";
import type { BlockStore } from "./block_store.ts";
import type { LedgerLine } from "./ledger.ts";
import type { CachePlan, GroupPlan } from "./plan.ts";
import type { Codec, Tier } from "./slots.ts";
import type { BlockId, MaybePromise } from "./types.ts";

/** Where one block is. */
interface Place {
  readonly tier: number;
  /** What the tier calls it: a name is never used again, blocks' ids are. */
  readonly name: BlockId;
  readonly bytes: number;
  /** What it is coded with there; undefined: as it is on the device. */
  readonly codec: Codec | undefined;
  /** Until the tier has it. */
  put: Promise<void> | undefined;
  /** The tier did not take it after all. */
  failed: boolean;
}

/** The tiers of one cache, and which blocks they hold. */
export class Tiers {
  readonly #tiers: readonly Tier[];
  readonly #groups: readonly GroupPlan[];
  readonly #memory: DeviceMemory;
  readonly #places = new Map<number, Place>();
  readonly #used: Float64Array;
  readonly #peaks: Float64Array;
  #names = 0;
  /** Blocks moved, down and up. */
  moves = 0;
  /** Of a copy in one direction, measured; 1 GB/s until something was. */
  secondsPerByte = 1e-9;

  /** Makes them empty. */
  constructor(
    { tiers, groups }: Pick<CachePlan, "tiers" | "groups">,
    memory: DeviceMemory,
  ) {
    this.#tiers = tiers;
    this.#groups = groups;
    this.#memory = memory;
    this.#used = new Float64Array(tiers.length);
    this.#peaks = new Float64Array(tiers.length);
  }

  /** Whether these blocks fit below, the first of them first. */
  takes(ids: Iterable<number>, store: BlockStore): boolean {
    const left = this.#tiers.map((t, i) => t.capacity - this.#used[i]!);
    for (const id of ids) {
      const tier = left.findIndex((room, i) =>
        room >= this.#size(i, id, store)
      );
      if (tier < 0) return false;
      left[tier]! -= this.#size(tier, id, store);
    }
    return true;
  }

  /** Whether a block will not come back as it went. */
  alters(id: number): boolean {
    return this.#places.get(id)?.codec?.lossy ?? false;
  }

  #size(tier: number, id: number, store: BlockStore): number {
    const codec = this.#codec(tier, id, store);
    return codec === undefined
      ? store.blockBytes(id)
      : codec.bytes(this.#groups[store.group(id)]!.shape);
  }

  /**
   * What a block is coded with in a tier. Open blocks have positions that nobody
   * wrote. Codes are not coded again where that would save nothing by rule.
   */
  #codec(tier: number, id: number, store: BlockStore): Codec | undefined {
    const group = this.#groups[store.group(id)]!;
    const codec = group.tierCodecs.get(this.#tiers[tier]!.id);
    if (codec === undefined || !store.isSealed(id)) return undefined;
    if (!store.isCoded(id)) return store.values.opens ? codec : undefined;
    return codec.lossy && codec.id !== group.codec.id ? codec : undefined;
  }

  /** Copies a block down; false where no tier has room. */
  put(id: number, store: BlockStore): boolean {
    const tier = this.#tiers.findIndex((t, i) =>
      t.capacity - this.#used[i]! >= this.#size(i, id, store)
    );
    if (tier < 0) return false;
    const started = performance.now();
    const codec = this.#codec(tier, id, store);
    const bytes = this.#size(tier, id, store);
    const copy = new Uint8Array(bytes);
    if (!this.#read(id, codec, copy, store)) return false;
    const place: Place = {
      tier,
      name: ++this.#names as BlockId,
      bytes,
      codec,
      put: undefined,
      failed: false,
    };
    const fail = (): void => void (place.failed = true);
    try {
      const put = this.#tiers[tier]!.put(place.name, copy);
      if (put instanceof Promise) {
        place.put = put.catch(fail).finally(() => place.put = undefined);
      }
    } catch {
      fail();
    }
    this.#places.set(id, place);
    this.#used[tier]! += bytes;
    this.#peaks[tier] = Math.max(this.#peaks[tier]!, this.#used[tier]!);
    this.moves++;
    if (place.put === undefined) this.#measure(bytes, started);
    return true;
  }

  /** Copies a block up to where `store` has a place for it; false: it is lost. */
  get(id: number, store: BlockStore): MaybePromise<boolean> {
    const place = this.#places.get(id);
    if (place === undefined) return false;
    if (place.put !== undefined) {
      return place.put.then(() => this.get(id, store));
    }
    if (place.failed) return false;
    const started = performance.now();
    const out = new Uint8Array(place.bytes);
    const land = (found: "ok" | "lost"): boolean => {
      if (found !== "ok") return false;
      this.#write(id, place.codec, out, store);
      this.#measure(place.bytes, started);
      this.drop(id);
      this.moves++;
      return true;
    };
    try {
      const found = this.#tiers[place.tier]!.get(place.name, out);
      return found instanceof Promise
        ? found.then(land, () => false)
        : land(found);
    } catch {
      return false;
    }
  }

  /** A block as it goes down; false where the device does not give it at once. */
  #read(
    id: number,
    codec: Codec | undefined,
    out: Uint8Array,
    store: BlockStore,
  ): boolean {
    const group = store.group(id);
    if (codec !== undefined) {
      const raw = store.values.scratch(group);
      if (!store.values.read(id, group, raw)) return false;
      codec.seal(this.#groups[group]!.shape, raw, out);
      return true;
    }
    let at = 0;
    for (const span of store.spans(id)) {
      const part = out.subarray(at, at += span.bytes);
      if (this.#memory.read(span, part) instanceof Promise) return false;
    }
    return true;
  }

  /** The way back. */
  #write(
    id: number,
    codec: Codec | undefined,
    bytes: Uint8Array,
    store: BlockStore,
  ): void {
    const group = store.group(id);
    if (codec !== undefined) {
      const raw = store.values.scratch(group);
      codec.open(this.#groups[group]!.shape, bytes, raw);
      store.values.write(id, group, raw);
      return;
    }
    let at = 0;
    for (const span of store.spans(id)) {
      this.#memory.write(span, bytes.subarray(at, at += span.bytes));
    }
  }

  /** Forgets a block; nothing happens when it is not here. */
  drop(id: number): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    this.#places.delete(id);
    this.#used[place.tier]! -= place.bytes;
    const tier = this.#tiers[place.tier]!;
    const forget = (): void => {
      try {
        tier.drop(place.name);
      } catch {
        // It keeps what nobody will ask for: its own loss.
      }
    };
    if (place.put === undefined) forget();
    else place.put.then(forget);
  }

  /** Bytes by tier. */
  stat(): { id: string; used: number; capacity: number }[] {
    return this.#tiers.map(({ id, capacity }, i) => ({
      id,
      used: this.#used[i]!,
      capacity,
    }));
  }

  /** For the ledger. */
  lines(): LedgerLine[] {
    return this.#tiers.map(({ id }, i) => ({
      tier: id,
      owner: "kv",
      component: "blocks",
      bytes: this.#used[i]!,
      peak: this.#peaks[i]!,
    }));
  }

  /** Recounts; `away` are the blocks that are to be here. */
  check(away: ReadonlySet<number>): void {
    const used = new Float64Array(this.#tiers.length);
    for (const [id, place] of this.#places) {
      if (!away.has(id)) {
        throw new Error(`Cache check: block ${id} is in a tier and not away`);
      }
      used[place.tier]! += place.bytes;
    }
    for (const id of away) {
      if (this.#places.has(id)) continue;
      throw new Error(`Cache check: block ${id} is away and in no tier`);
    }
    used.forEach((bytes, i) => {
      if (bytes === this.#used[i] && bytes <= this.#tiers[i]!.capacity) return;
      throw new Error(
        `Cache check: tier "${this.#tiers[i]!.id}" has ${
          this.#used[i]
        } bytes, recounted ${bytes} of ${this.#tiers[i]!.capacity}`,
      );
    });
  }

  #measure(bytes: number, started: number): void {
    const now = (performance.now() - started) / 1000 / bytes;
    this.secondsPerByte += (now - this.secondsPerByte) / 8;
  }
}
