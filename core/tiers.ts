/**
 * Blocks in the places below the device's memory.
 *
 * ```text
 *   put      a block leaves the device, under a name of its own
 *   expect   a block is to come that a tier has by its content
 *   get      its bytes come to its place; what a tier cannot give is lost
 * ```
 * A block is copied whole, as it is on the device, its parts one after another; a
 * full one as the codec of its group and tier makes it, where there is one. What a
 * tier cannot give back is lost, never wrong: whoever wants it computes it again.
 *
 * @module
 */
import type { DeviceMemory } from "./backend.ts";
import type { BlockStore } from "./block_store.ts";
import type { LedgerLine } from "./ledger.ts";
import type { CachePlan, GroupPlan } from "./plan.ts";
import type { Codec, Sought, Tier } from "./slots.ts";
import { blockCodec, readBlock, writeBlock } from "./tier_bytes.ts";
import type { BlockId, MaybePromise } from "./types.ts";

/** Blocks that tiers are asked for at the same time. */
const MOST_READS = 16;

/** Where one block is. */
interface Place {
  readonly tier: number;
  /** What the tier calls it: a name is never used again, blocks' ids are. */
  readonly name: BlockId;
  /** Its content key, where the tier has it by that. */
  readonly key: string | undefined;
  readonly about: Sought | undefined;
  readonly bytes: number;
  /** What it is coded with there; undefined: as it is on the device. */
  readonly codec: Codec | undefined;
  /** Until the tier has it. */
  put: Promise<void> | undefined;
  /** The tier did not take it after all, or has it no more. */
  lost: boolean;
  /** Since it was asked for. */
  coming: Promise<boolean> | undefined;
  /** Its bytes, where a tier in memory had them at hand. */
  held: Uint8Array | undefined;
}

/** The tiers of one cache, and which blocks they hold. */
export class Tiers {
  readonly #tiers: readonly Tier[];
  readonly #groups: readonly GroupPlan[];
  readonly #memory: DeviceMemory;
  readonly #places = new Map<number, Place>();
  readonly #used: Float64Array;
  readonly #peaks: Float64Array;
  /** Of what stores keep by content, as often as it was looked at. */
  readonly #keptPeaks: Float64Array;
  readonly #waiting: (() => void)[] = [];
  readonly #rooms: Uint8Array[] = [];
  #reads = 0;
  /** What comes from each tier since it was idle last. */
  readonly #rates: { reads: number; bytes: number; since: number }[];
  #names = 0;
  /** Blocks moved, down and up. */
  moves = 0;
  /** Of a copy in one direction, by tier, measured; 1 GB/s until something was. */
  readonly #secondsPerByte: Float64Array;

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
    this.#keptPeaks = new Float64Array(tiers.length);
    this.#secondsPerByte = new Float64Array(tiers.length).fill(1e-9);
    this.#rates = tiers.map(() => ({ reads: 0, bytes: 0, since: 0 }));
  }

  /** Of a copy in one direction; of the first tier by default. */
  secondsPerByte(tier = 0): number {
    return this.#secondsPerByte[tier] ?? 0;
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

  /** Bytes that tiers with `slice` could still take. */
  get sliceRoom(): number {
    let bytes = this.sliceCapacity;
    for (const [i, t] of this.#tiers.entries()) {
      if (t.slice !== undefined) bytes -= this.#used[i]!;
    }
    return bytes;
  }

  /** Bytes they could take if nobody else used them. */
  get sliceCapacity(): number {
    return this.#tiers.reduce(
      (sum, t) => t.slice === undefined ? sum : sum + t.capacity,
      0,
    );
  }

  /** A tier was left out for being slow: it may be faster by now. */
  forgive(tier: number): void {
    this.#secondsPerByte[tier]! *= 7 / 8;
  }

  /** Whether a block will not come back as it went. */
  alters(id: number): boolean {
    return this.#places.get(id)?.codec?.lossy ?? false;
  }

  /** When a block that is on its way will be here, or lost. */
  arrival(id: number): Promise<boolean> | undefined {
    return this.#places.get(id)?.coming;
  }

  /** Whether a block is on its way and neither here nor lost yet. */
  isComing(id: number): boolean {
    const place = this.#places.get(id);
    return place?.coming !== undefined && !place.lost;
  }

  #codec(tier: number, id: number, store: BlockStore): Codec | undefined {
    return blockCodec(this.#groups, this.#tiers[tier]!.id, id, store);
  }

  #size(tier: number, id: number, store: BlockStore): number {
    const codec = this.#codec(tier, id, store);
    return codec?.bytes(this.#groups[store.group(id)]!.shape) ??
      store.blockBytes(id);
  }

  /**
   * Copies a block down; false where no tier has room. `whole`: it is to be read in
   * parts, as it is on the device.
   */
  put(id: number, store: BlockStore, whole = false): boolean {
    // One that refuses may take it the second time, if nobody else does.
    for (let round = 0; round < 2; round++) {
      for (let tier = 0; tier < this.#tiers.length; tier++) {
        const { capacity, slice } = this.#tiers[tier]!;
        if (whole && slice === undefined) continue;
        // What is read in parts is as it is on the device.
        const codec = whole ? undefined : this.#codec(tier, id, store);
        const bytes = codec?.bytes(this.#groups[store.group(id)]!.shape) ??
          store.blockBytes(id);
        if (capacity - this.#used[tier]! < bytes) continue;
        const taken = this.#give(id, tier, codec, bytes, store);
        if (taken !== "refused") return taken === "taken";
      }
    }
    return false;
  }

  #give(
    id: number,
    tier: number,
    codec: Codec | undefined,
    bytes: number,
    store: BlockStore,
  ): "taken" | "refused" | "unreadable" {
    const started = performance.now();
    const copy = new Uint8Array(bytes);
    if (!readBlock(this.#groups, this.#memory, id, codec, copy, store)) {
      return "unreadable";
    }
    const place: Place = {
      tier,
      name: ++this.#names as BlockId,
      key: undefined,
      about: undefined,
      bytes,
      codec,
      put: undefined,
      lost: false,
      coming: undefined,
      held: undefined,
    };
    try {
      const put = this.#tiers[tier]!.put(place.name, copy);
      if (put instanceof Promise) {
        place.put = put.catch(() => void (place.lost = true))
          .finally(() => place.put = undefined);
      }
    } catch {
      return "refused";
    }
    this.#places.set(id, place);
    this.#used[tier]! += bytes;
    this.#peaks[tier] = Math.max(this.#peaks[tier]!, this.#used[tier]!);
    this.moves++;
    if (place.put === undefined) this.#measure(tier, bytes, started);
    return "taken";
  }

  /** A block that is away will come from where a tier has its content. */
  expect(
    id: number,
    tier: number,
    key: string,
    about: Sought,
    held: Uint8Array | undefined,
    store: BlockStore,
  ): void {
    this.#places.set(id, {
      tier,
      name: 0 as BlockId,
      key,
      about,
      bytes: this.#size(tier, id, store),
      codec: this.#codec(tier, id, store),
      put: undefined,
      lost: false,
      coming: undefined,
      held,
    });
  }

  /**
   * Brings a block up to where `store` has a place for it, and says when it has
   * landed; false: it is lost. Asked again, it is the same answer.
   */
  get(id: number, store: BlockStore): MaybePromise<boolean> {
    const place = this.#places.get(id);
    if (place === undefined || place.lost) return false;
    if (place.coming !== undefined) return place.coming;
    if (place.put !== undefined) {
      return place.coming = place.put.then(() => {
        place.coming = undefined;
        return this.#isWanted(id, place, store) && this.get(id, store);
      });
    }
    const view = this.#view(place);
    if (view !== undefined) return this.#land(id, place, view, store);
    const read = (): MaybePromise<boolean> => {
      const out = this.#room(place.bytes);
      const over = (found: "ok" | "lost"): boolean => {
        // What was lost may still be being written.
        if (found !== "ok") return this.#lose(id, place, store);
        place.coming = undefined;
        const landed = this.#isWanted(id, place, store) &&
          this.#land(id, place, out, store);
        this.#rooms.push(out);
        return landed;
      };
      const found = this.#ask(place, out);
      return found instanceof Promise
        ? patiently(found).then(over)
        : over(found);
    };
    if (this.#reads >= MOST_READS) {
      return place.coming = new Promise<void>((go) => this.#waiting.push(go))
        .then(read).finally(() => this.#next());
    }
    const landed = read();
    if (!(landed instanceof Promise)) return landed;
    this.#reads++;
    return place.coming = landed.finally(() => this.#next());
  }

  /** Whether it is still the block that was asked for, and has a place now. */
  #isWanted(id: number, place: Place, store: BlockStore): boolean {
    return this.#places.get(id) === place && store.isPlaced(id);
  }

  /** Nobody is to find it, and who waits for it computes it again. */
  #lose(id: number, place: Place, store: BlockStore): false {
    place.lost = true;
    if (place.key !== undefined) store.contents.forget(place.key);
    if (this.#places.get(id) === place) store.unname(id);
    return false;
  }

  /** Its bytes, where the tier has them at hand. */
  #view({ tier, key, name, bytes, held }: Place): Uint8Array | undefined {
    const { content, view } = this.#tiers[tier]!;
    try {
      const found = held ??
        (key === undefined ? view?.(name) : content!.view?.(key));
      return found?.length === bytes ? found : undefined;
    } catch {
      return undefined;
    }
  }

  /** A block has come; false where its bytes are not what they should be. */
  #land(
    id: number,
    place: Place,
    bytes: Uint8Array,
    store: BlockStore,
  ): boolean {
    const { tier, codec } = place, started = performance.now();
    if (!store.isPlaced(id)) return false;
    try {
      writeBlock(this.#groups, this.#memory, id, codec, bytes, store);
    } catch {
      return this.#lose(id, place, store);
    }
    if (this.#rates[tier]!.reads === 0) {
      this.#measure(tier, bytes.length, started);
    }
    store.emitMove(id, this.#tiers[tier]!.id, "device");
    this.drop(id);
    store.landed(id);
    this.moves++;
    return true;
  }

  /** Memory that workers of tiers can write to, used again and again. */
  #room(bytes: number): Uint8Array {
    for (let i = this.#rooms.length - 1; i >= 0; i--) {
      if (this.#rooms[i]!.length === bytes) return this.#rooms.splice(i, 1)[0]!;
    }
    if (this.#rooms.length >= MOST_READS) this.#rooms.length = 0;
    return new Uint8Array(new SharedArrayBuffer(bytes));
  }

  #ask(place: Place, out: Uint8Array): MaybePromise<"ok" | "lost"> {
    const tier = this.#tiers[place.tier]!, rate = this.#rates[place.tier]!;
    if (rate.reads++ === 0) {
      rate.since = performance.now();
      rate.bytes = 0;
    }
    const over = (found: "ok" | "lost"): "ok" | "lost" => {
      if (found === "ok") rate.bytes += out.length;
      if (--rate.reads === 0 && rate.bytes > 0) {
        this.#measure(place.tier, rate.bytes, rate.since);
      }
      return found;
    };
    const found = twice(() =>
      place.key === undefined
        ? tier.get(place.name, out)
        : tier.content!.read(place.key, out, place.about!)
    );
    return found instanceof Promise ? found.then(over) : over(found);
  }

  /** One read is over: the next that waits goes on in its stead. */
  #next(): void {
    const go = this.#waiting.shift();
    if (go === undefined) this.#reads--;
    else go();
  }

  /** Reads a part of a block that is away, as it is on the device. */
  slice(id: number, at: number, out: Uint8Array): MaybePromise<boolean> {
    const place = this.#places.get(id);
    if (place === undefined || place.lost) return false;
    if (place.put !== undefined) {
      return place.put.then(() => this.slice(id, at, out));
    }
    const { slice } = this.#tiers[place.tier]!;
    const found = twice(() => slice!(place.name, at, out));
    return found instanceof Promise
      ? found.then((is) => is === "ok")
      : found === "ok";
  }

  /** Forgets a block; nothing happens when it is not here. */
  drop(id: number): void {
    const place = this.#places.get(id);
    if (place === undefined) return;
    this.#places.delete(id);
    if (place.key !== undefined) return;
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
    return this.#tiers.map(({ id, capacity, content }, i) => ({
      id,
      used: this.#used[i]! + (content?.used ?? 0),
      capacity,
    }));
  }

  /** For the ledger. */
  lines(): LedgerLine[] {
    return this.#tiers.flatMap(({ id, content }, i) => {
      const blocks: LedgerLine = {
        tier: id,
        owner: "kv",
        component: "blocks",
        bytes: this.#used[i]!,
        peak: this.#peaks[i]!,
      };
      if (content?.used === undefined) return [blocks];
      const bytes = content.used;
      const peak = Math.max(this.#keptPeaks[i]!, bytes);
      this.#keptPeaks[i] = peak;
      return [blocks, { ...blocks, component: "prefixes", bytes, peak }];
    });
  }

  /** Recounts; `away` are the blocks that are to be here. */
  check(away: ReadonlySet<number>): void {
    const used = new Float64Array(this.#tiers.length);
    for (const [id, place] of this.#places) {
      if (!away.has(id)) {
        throw new Error(`Cache check: block ${id} is in a tier and not away`);
      }
      if (place.key === undefined) used[place.tier]! += place.bytes;
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

  #measure(tier: number, bytes: number, started: number): void {
    const now = (performance.now() - started) / 1000 / bytes;
    this.#secondsPerByte[tier]! += (now - this.#secondsPerByte[tier]!) / 8;
  }
}

/** Milliseconds after which what a tier has not given is lost. */
const PATIENCE = 20_000;

/** The answer, or "lost" when it does not come. */
function patiently(answer: Promise<"ok" | "lost">): Promise<"ok" | "lost"> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<"lost">((resolve) => {
    timer = setTimeout(() => resolve("lost"), PATIENCE);
  });
  return Promise.race([answer, late]).finally(() => clearTimeout(timer));
}

/** What fails is asked once more: it may have been the connection. */
function twice(
  ask: () => MaybePromise<"ok" | "lost">,
): MaybePromise<"ok" | "lost"> {
  const again = (): MaybePromise<"ok" | "lost"> => {
    try {
      const found = ask();
      return found instanceof Promise
        ? found.catch((): "lost" => "lost")
        : found;
    } catch {
      return "lost";
    }
  };
  try {
    const found = ask();
    return found instanceof Promise ? found.catch(again) : found;
  } catch {
    return again();
  }
}
