/**
 * Contexts that do not fit on the device: their oldest blocks stay in a tier and are
 * read from there, one layer at a time, while steps run.
 *
 * ```text
 *  position  0 …        segment 0      |      segment 1      |        … q
 *  blocks    | spilled | spilled | … | spilled | here | here | here | open |
 * ```
 * Only groups that see everything spill: others hold few blocks. A block spills as it
 * is on the device, so that what is read is the same to the bit.
 *
 * @module
 */
import type { Feed, StreamBatch } from "./backend.ts";
import type { BlockStore } from "./block_store.ts";
import type { GroupPlan } from "./plan.ts";
import { LostBlocks } from "./swap.ts";
import type { Sequence } from "./sequence.ts";

/** How the blocks of a group are read while a step runs. */
interface Reading {
  /** Bytes of a block's part of one layer. */
  readonly bytes: number;
  /** Blocks in a segment. */
  readonly blocks: number;
  /** Whether spilled blocks are sealed ones. */
  readonly coded: boolean;
}

/** Moves blocks out of the way of a sequence that needs more than there is. */
export class Spill {
  readonly #store: BlockStore;
  readonly #groups: readonly GroupPlan[];
  /** By group; undefined where blocks have to be on the device. */
  readonly #readings: readonly (Reading | undefined)[];
  /** Of the step that was filled last. */
  #reader: Sequence | undefined;
  readonly #feed: Feed = (group, layer, segment, out) =>
    this.#read(group, layer, segment, out);

  /** `segmentTokens`: of the backend; 0 where it reads nothing while a step runs. */
  constructor(
    groups: readonly GroupPlan[],
    store: BlockStore,
    segmentTokens: number,
  ) {
    this.#groups = groups;
    this.#store = store;
    this.#readings = groups.map((group) => reading(group, segmentTokens));
  }

  /** Whether anything may spill. */
  get possible(): boolean {
    return this.#readings.some((r) => r !== undefined) &&
      this.#store.tiers.sliceRoom > 0;
  }

  /** Whether blocks of a group may. */
  reads(group: number): boolean {
    return this.#readings[group] !== undefined;
  }

  /**
   * Moves the oldest blocks that only this sequence uses down until `bytes` are free
   * that were not before; false where nothing was moved.
   */
  spill(s: Sequence, bytes: number): boolean {
    const store = this.#store;
    let freed = 0;
    for (let b = 0;; b++) {
      let any = false;
      for (const [g, table] of s.tables.entries()) {
        const r = this.#readings[g];
        // Never one that will be written: after a cut it may be full and sealed.
        if (r === undefined || (b + 1) * table.blockTokens > s.length) continue;
        any = true;
        const id = table.ids[b]!;
        if (
          store.refs(id) !== 1 || store.isAway(id) || !store.isSealed(id) ||
          store.isCoded(id) !== r.coded
        ) continue;
        const size = store.blockBytes(id);
        if (!store.tiers.put(id, store, true)) return freed > 0;
        store.leave(id, true);
        s.spilled = true;
        freed += size;
        if (freed >= bytes) return true;
      }
      if (!any) return freed > 0;
    }
  }

  /** Table entry of a spilled block; see StreamBatch. */
  entry(group: number, block: number): number {
    const { bytes, blocks } = this.#readings[group]!;
    return (block % blocks) * bytes + 1;
  }

  /** Tells the backend what the sequences of a step read. */
  fill(
    seqs: readonly Sequence[],
    count: number,
    stream: StreamBatch | undefined,
  ): void {
    this.#reader = undefined;
    for (let i = 0; i < count; i++) {
      if (!seqs[i]!.spilled) continue;
      if (this.#reader !== undefined) {
        throw new RangeError(
          `Cannot fill a batch with sequences ${this.#reader.id} and ${
            seqs[i]!.id
          }: one whose blocks do not fit on the device is possible in a step`,
        );
      }
      this.#reader = seqs[i]!;
    }
    if (stream === undefined) return;
    stream.segments = this.#reader === undefined
      ? 0
      : this.#segments(this.#reader);
    stream.feed = stream.segments > 0 ? this.#feed : undefined;
  }

  #segments(s: Sequence): number {
    let segments = 0;
    for (const [g, table] of s.tables.entries()) {
      const r = this.#readings[g];
      if (r === undefined) continue;
      let last = table.count - 1;
      while (last >= 0 && !this.#store.isSpilled(table.ids[last]!)) last--;
      segments = Math.max(segments, Math.floor(last / r.blocks) + 1);
    }
    return segments;
  }

  #read(
    group: number,
    layer: number,
    segment: number,
    out: Uint8Array,
  ): void | Promise<void> {
    const s = this.#reader!, store = this.#store;
    const { ids, count } = s.tables[group]!;
    const { bytes, blocks } = this.#readings[group]!;
    const first = segment * blocks, end = Math.min(count, first + blocks);
    let asked: Promise<number>[] | undefined;
    for (let b = first; b < end; b++) {
      if (!store.isSpilled(ids[b]!)) continue;
      const at = (b - first) * bytes;
      const found = store.tiers.slice(
        ids[b]!,
        layer * bytes,
        out.subarray(at, at + bytes),
      );
      if (found instanceof Promise) {
        (asked ??= []).push(found.then((is) => is ? Infinity : b));
      } else if (!found) {
        if (asked === undefined) throw this.#lost(s, group, b);
        // Nobody may write to the slot any more when this is over.
        asked.push(Promise.resolve(b));
        break;
      }
    }
    if (asked === undefined) return;
    return Promise.all(asked).then((found) => {
      const least = Math.min(...found);
      if (least < Infinity) throw this.#lost(s, group, least);
    });
  }

  #lost(s: Sequence, group: number, block: number): LostBlocks {
    const at = block * this.#groups[group]!.shape.tokens;
    return new LostBlocks(new Map([[s.id, at]]));
  }
}

function reading(
  { sight, shape, fused, sealedBytes, blockBytes }: GroupPlan,
  segmentTokens: number,
): Reading | undefined {
  if (!sight.full || segmentTokens === 0) return undefined;
  const bytes = (fused === undefined ? blockBytes : sealedBytes) / shape.layers;
  if (segmentTokens % shape.tokens !== 0 || bytes % 2 !== 0) return undefined;
  return {
    bytes,
    blocks: segmentTokens / shape.tokens,
    coded: fused !== undefined,
  };
}
