/**
 * The blocks: where each is, who uses it, and what it holds.
 *
 * ```text
 *           take             seal            release to 0 refs, with a key
 *  (none) ───────▶ open ───────────▶ sealed ───────────────────────▶ idle
 *                   │ ▲    unseal      │ ▲            retain           │
 *                   │ └────────────────┘ └─────────────────────────────┤
 *                   ▼ release to 0 refs, without a key           evict ▼
 *                 (none) ◀──────────────────────────────────────────(none)
 * ```
 *
 * A block may be *away*: its bytes are in a tier, and it has no place on the device,
 * or one that its bytes have not come to yet. One that left has one user and no key
 * meanwhile; one that is to come because a tier has its content has a place and a
 * key from the start, so that others find it, and is freed when nobody waits for it
 * any more. A *spilled* one stays away while its sequence runs: steps read it where
 * it is.
 *
 * A block that a codec was applied to is *final*: it has its codes, or what they
 * stand for, in place of what was computed, and so is not unsealed again.
 *
 * Ids start at 1; 0 stands for no block.
 *
 * @module
 */
import type { Span } from "./allocator.ts";
import type { DeviceMemory, OpenBlocks } from "./backend.ts";
import { BlockPlaces } from "./block_places.ts";
import { BlockValues } from "./block_values.ts";
import { Contents } from "./contents.ts";
import type { CachePlan } from "./plan.ts";
import { Tiers } from "./tiers.ts";
import type { BlockContent, CacheEvent, Sought } from "./slots.ts";
import type { BlockId } from "./types.ts";

/** What a block's bytes are: as computed, what the codec gives back, or its codes. */
const RAW = 0, ROUNDED = 1, CODED = 2;

/** Where a block's bytes are: on the device, in a tier, in a tier to stay. */
const HERE = 0, AWAY = 1, SPILLED = 2;

/** The blocks of every group, in one device's memory. */
export class BlockStore {
  readonly tiers: Tiers;
  readonly contents: Contents;
  readonly places: BlockPlaces;
  readonly values: BlockValues;
  evictions = 0;
  copies = 0;
  /** Uses by tables. */
  references = 0;
  /** Counts whatever changes which blocks are found, and which of them are used. */
  changes = 0;
  /** Blocks, and bytes of idle ones. */
  live = 0;
  sealed = 0;
  idle = 0;
  idleBytes = 0;

  readonly #plan: CachePlan;
  readonly #memory: DeviceMemory;
  #refs = new Int32Array(64);
  #groups = new Int16Array(64);
  #sealed = new Uint8Array(64);
  #forms = new Uint8Array(64);
  #away = new Uint8Array(64);
  readonly #keys: (string | undefined)[] = [undefined];
  readonly #spare: number[] = [];
  #ids = 1;

  /** `blockBytes`: of one open block, by group. */
  constructor(
    plan: CachePlan,
    memory: DeviceMemory,
    budgetBytes: number,
    blockBytes: readonly number[],
    openBlocks?: OpenBlocks,
  ) {
    const { groups } = plan;
    this.#plan = plan;
    this.#memory = memory;
    this.places = new BlockPlaces(groups, memory, budgetBytes, blockBytes);
    this.values = new BlockValues(groups, memory, this.places, openBlocks);
    this.tiers = new Tiers(plan, memory);
    this.contents = new Contents(plan, memory);
  }

  /** Bytes a taker could get now, were they all in the right place. */
  get available(): number {
    return this.places.free + this.idleBytes;
  }

  /** Byte offset of its open place; 0: it has none, as block 0. */
  offset(id: number): number {
    return this.places.openAt(id);
  }

  /** Byte offset of its sealed place; 0: it has none, as block 0. */
  sealedAt(id: number): number {
    return this.places.sealedAt(id);
  }

  /** Whether it has any place on the device. */
  isPlaced(id: number): boolean {
    return this.places.openAt(id) !== 0 || this.places.sealedAt(id) !== 0;
  }

  refs(id: number): number {
    return this.#refs[id]!;
  }

  group(id: number): number {
    return this.#groups[id]!;
  }

  isSealed(id: number): boolean {
    return this.#sealed[id] === 1;
  }

  /** Whether what was computed is no longer there: it cannot be written on. */
  isFinal(id: number): boolean {
    return this.#forms[id] !== RAW;
  }

  /** Whether its bytes are codes of the group's codec. */
  isCoded(id: number): boolean {
    return this.#forms[id] === CODED;
  }

  key(id: number): string | undefined {
    return this.#keys[id];
  }

  /** Ids ever used are below this. */
  get end(): number {
    return this.#ids;
  }

  /** Whether its bytes are not on the device. */
  isAway(id: number): boolean {
    return this.#away[id] !== HERE;
  }

  /** Whether it stays away while it is used. */
  isSpilled(id: number): boolean {
    return this.#away[id] === SPILLED;
  }

  /** Bytes of a block. */
  blockBytes(id: number): number {
    const { open, sealed } = this.places, group = this.#groups[id]!;
    return (this.isCoded(id) ? sealed[group]! : open[group]!).slotBytes;
  }

  /** Where the parts of a block are. */
  spans(id: number): Iterable<Span> {
    const group = this.#groups[id]!;
    return this.isCoded(id)
      ? [this.places.sealedSpan(id, group)]
      : this.places.openSpans(id, group);
  }

  /**
   * Gives up the place of a block with one user, whose bytes are in a tier; `spilled`:
   * until its sequence ends.
   */
  leave(id: number, spilled = false): void {
    this.unname(id);
    this.#away[id] = spilled ? SPILLED : AWAY;
    this.places.giveOpen(id, this.#groups[id]!);
    this.places.giveSealed(id, this.#groups[id]!);
  }

  /** Takes a place for a block that is away; false where there is none. */
  comeBack(id: number): boolean {
    return this.#place(id, this.isCoded(id));
  }

  /** The bytes of a block have come to its place. */
  landed(id: number): void {
    this.#away[id] = HERE;
  }

  /**
   * A full block, block `index` of its sequence, that is to come from a tier that has
   * its content, with a place for it and one user; idle blocks make room. 0: there is
   * no room. One that comes altered is found by nobody else. `held`: its bytes, where
   * the tier had them at hand.
   */
  expect(
    group: number,
    index: number,
    tier: number,
    key: string,
    about: Sought,
    content: BlockContent,
    held: Uint8Array | undefined,
  ): number {
    const id = this.takeFull(group, index);
    if (id === 0) return 0;
    this.#away[id] = AWAY;
    this.tiers.expect(id, tier, key, about, held, this);
    if (!this.tiers.alters(id)) this.name(id, key, content);
    return id;
  }

  /** Bytes of a full block, block `index` of its sequence, that is as on the device. */
  fullBytes(group: number, index: number): number {
    const { fused, keepFirst } = this.#plan.groups[group]!;
    const { open, sealed } = this.places;
    return (fused !== undefined && index >= keepFirst
      ? sealed[group]!
      : open[group]!).slotBytes;
  }

  /** From now on a full block is found by its content. */
  name(id: number, key: string, content: BlockContent): void {
    this.#plan.index?.set(key, id as BlockId, content);
    this.contents.mark(id, content.salt);
    this.changes++;
    this.#keys[id] = key;
  }

  /** A place for a block; idle blocks make room. False: there is none. */
  #place(id: number, sealed: boolean): boolean {
    const group = this.#groups[id]!, { places } = this;
    while (
      sealed ? !places.takeSealed(id, group) : !places.takeOpen(id, group)
    ) if (!this.evict()) return false;
    return true;
  }

  /** An open block with one user; idle blocks make room. 0: there is none. */
  take(group: number): number {
    return this.#take(group, RAW);
  }

  /**
   * A full block, block `index` of its sequence, with one user, whose bytes as the codec
   * leaves them are still to be written; idle blocks make room. 0: there is none.
   */
  takeFull(group: number, index: number): number {
    const { fused, rounds, keepFirst } = this.#plan.groups[group]!;
    const form = index < keepFirst
      ? RAW
      : fused !== undefined
      ? CODED
      : rounds
      ? ROUNDED
      : RAW;
    const id = this.#take(group, form);
    if (id === 0) return 0;
    this.#sealed[id] = 1;
    this.sealed++;
    return id;
  }

  #take(group: number, form: number): number {
    const id = this.#spare.pop() ?? this.#fresh();
    this.#groups[id] = group;
    if (!this.#place(id, form === CODED)) {
      this.#spare.push(id);
      return 0;
    }
    this.#refs[id] = 1;
    this.references++;
    this.#sealed[id] = 0;
    this.#forms[id] = form;
    this.live++;
    return id;
  }

  /**
   * A place for what the step that fills an open block seals; idle blocks make
   * room. False: there is none.
   */
  promise(id: number): boolean {
    return this.#place(id, true);
  }

  /** Gives that place back: the block stays open. */
  unpromise(id: number): void {
    if (this.places.openAt(id) === 0) return;
    this.places.giveSealed(id, this.#groups[id]!);
  }

  /** One more user. */
  retain(id: number): void {
    this.references++;
    if (this.#refs[id]!++ > 0) return;
    this.changes++;
    this.idle--;
    this.idleBytes -= this.blockBytes(id);
    this.#plan.evict.forget(id as BlockId);
  }

  /** One user less; the last one leaves it idle or frees it. */
  release(id: number): void {
    this.references--;
    if (--this.#refs[id]! > 0) return;
    this.changes++;
    if (this.#keys[id] === undefined || this.isAway(id)) {
      this.unname(id);
      this.#free(id);
      return;
    }
    this.idle++;
    this.idleBytes += this.blockBytes(id);
    const { evict } = this.#plan;
    evict.touch(id as BlockId);
    while (this.idleBytes > (evict.mostBytes ?? Infinity) && this.evict());
  }

  /**
   * The block, `index` of its sequence, is full: the step sealed it to the place it
   * was promised, or it is rounded, or it stays as it is. With a key that the index
   * lacks, it can be found by it.
   */
  seal(id: number, index: number, key?: string, content?: BlockContent): void {
    if (this.#sealed[id] === 0) this.sealed++;
    this.#sealed[id] = 1;
    this.#settle(id, this.#groups[id]!, index);
    if (
      key !== undefined && content !== undefined &&
      this.#keys[id] === undefined && this.find(key, this.#groups[id]!) === 0
    ) {
      this.name(id, key, content);
      this.contents.full(id, key, content.salt, this);
    }
    if (this.#plan.observe.length > 0) {
      this.emit({ type: "seal", block: id as BlockId });
    }
  }

  #settle(id: number, group: number, index: number): void {
    const { rounds, keepFirst } = this.#plan.groups[group]!;
    if (this.places.sealedAt(id) !== 0) {
      this.places.giveOpen(id, group);
      this.#forms[id] = CODED;
    } else if (rounds && index >= keepFirst) {
      this.values.round(id, group);
      this.#forms[id] = ROUNDED;
    }
  }

  /** The block will be written again; nobody may find its content any more. */
  unseal(id: number): void {
    if (this.#sealed[id] === 0) return;
    this.#sealed[id] = 0;
    this.sealed--;
    this.unname(id);
  }

  /** The block with a key, 0 for none. An index that is wrong is a miss. */
  find(key: string, group: number): number {
    const id = this.#plan.index?.get(key);
    if (id === undefined || this.#keys[id] !== key) return 0;
    return this.#groups[id] === group ? id : 0;
  }

  /** A copy of a block's bytes in a new block, 0 where there is no room. */
  copy(id: number): number {
    const group = this.#groups[id]!;
    const made = this.take(group);
    if (made === 0) return 0;
    // A place may have been made by moving the block itself: it is looked up now.
    const to = [...this.spans(made)];
    let part = 0;
    for (const from of this.spans(id)) this.#memory.copy(from, to[part++]!);
    this.copies++;
    if (this.#plan.observe.length > 0) {
      this.emit({ type: "copy", block: made as BlockId });
    }
    return made;
  }

  /** The idle block that is cheapest to lose; 0: there is none. */
  victim(): number {
    if (this.idle === 0) return 0;
    for (const id of this.#plan.evict.victims()) {
      if (this.#refs[id] === 0 && this.#keys[id] !== undefined) return id;
    }
    return 0;
  }

  /** Frees that block; false when there is none. */
  evict(): boolean {
    const id = this.victim() as BlockId;
    if (id === 0) return false;
    this.idle--;
    this.idleBytes -= this.blockBytes(id);
    this.evictions++;
    this.contents.leaving(id, this.#keys[id]!, this);
    this.#plan.evict.forget(id);
    this.unname(id);
    if (this.#plan.observe.length > 0) {
      this.emit({ type: "evict", block: id });
    }
    this.#free(id);
    return true;
  }

  /** Tells every observer of a block that was copied from one tier to another. */
  emitMove(id: number, from: string, to: string): void {
    if (this.#plan.observe.length === 0) return;
    this.emit({ type: "move", block: id as BlockId, from, to });
  }

  /** Tells every observer; what they throw is theirs. */
  emit(event: CacheEvent): void {
    for (const o of this.#plan.observe) {
      try {
        o.event(event);
      } catch (e) {
        // deno-lint-ignore no-console -- a watcher has nobody else to tell
        console.error("An observer of the cache failed:", e);
      }
    }
  }

  #free(id: number): void {
    if (this.#sealed[id] === 1) this.sealed--;
    this.#sealed[id] = 0;
    this.live--;
    this.places.giveOpen(id, this.#groups[id]!);
    this.places.giveSealed(id, this.#groups[id]!);
    if (this.isAway(id)) this.tiers.drop(id);
    this.#away[id] = HERE;
    this.#spare.push(id);
    if (this.#plan.observe.length > 0) {
      this.emit({ type: "release", block: id as BlockId });
    }
  }

  /** Nobody finds a block by its content any more. */
  unname(id: number): void {
    const key = this.#keys[id];
    if (key === undefined) return;
    this.#keys[id] = undefined;
    if (this.#plan.index?.get(key) === id) this.#plan.index.delete(key);
  }

  #fresh(): number {
    const id = this.#ids++;
    this.#keys.push(undefined);
    if (id < this.#refs.length) return id;
    const length = id * 2;
    this.places.grow(length);
    this.#refs = enlarge(this.#refs, new Int32Array(length));
    this.#groups = enlarge(this.#groups, new Int16Array(length));
    this.#sealed = enlarge(this.#sealed, new Uint8Array(length));
    this.#forms = enlarge(this.#forms, new Uint8Array(length));
    this.#away = enlarge(this.#away, new Uint8Array(length));
    return id;
  }
}

function enlarge<T extends Int32Array | Int16Array | Uint8Array>(
  old: T,
  room: T,
): T {
  room.set(old);
  return room;
}
