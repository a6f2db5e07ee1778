/**
 * Sequences out of the device's memory and back.
 *
 * ```text
 *  swapOut ─▶ away, no places ─▶ comeBack ─▶ places taken ─▶ land ─▶ as before
 *                    ▲                            │
 *                    └────────── swapOut ─────────┘
 * ```
 * Only blocks that nobody else uses leave: the others would give no memory back.
 * Blocks that a sequence begins with because a tier has their content land like those
 * that come back.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { Sequence } from "./sequence.ts";
import type { MaybePromise, SeqId } from "./types.ts";

/** Blocks that no tier could give back. */
export class LostBlocks extends Error {
  override readonly name = "LostBlocks";
  /** The first position of each sequence that has to be computed again. */
  readonly lost: ReadonlyMap<SeqId, number>;

  constructor(lost: ReadonlyMap<SeqId, number>) {
    super(
      `Cannot load the blocks of sequence ${
        [...lost.keys()].join(", ")
      }: no tier has them any more; compute them again`,
    );
    this.lost = lost;
  }
}

function* blocks(s: Sequence): Iterable<number> {
  for (const table of s.tables) {
    for (let b = 0; b < table.count; b++) {
      if (table.ids[b] !== 0) yield table.ids[b]!;
    }
  }
}

/** Blocks of a sequence that nobody else uses. */
function* own(s: Sequence, store: BlockStore): Iterable<number> {
  for (const id of blocks(s)) if (store.refs(id) === 1) yield id;
}

/** Bytes that `swapOut()` would move; Infinity where no tier has room for them. */
export function ownBytes(s: Sequence, store: BlockStore): number {
  const leaving = [...own(s, store)].filter((id) => !store.isAway(id));
  if (!store.tiers.takes(leaving, store)) return Infinity;
  return leaving.reduce((sum, id) => sum + store.blockBytes(id), 0);
}

/**
 * Moves the sequence's own blocks to tiers. False where they have no room for all
 * of them: then some may have left, and the sequence is to be closed.
 */
export function swapOut(s: Sequence, store: BlockStore): boolean {
  const ids = [...own(s, store)];
  const leaving = ids.filter((id) => !store.isAway(id));
  if (!store.tiers.takes(leaving, store)) return false;
  for (const id of ids) {
    if (!store.isPlaced(id)) continue;
    if (!store.isAway(id) && !store.tiers.put(id, store)) return false;
    store.leave(id);
  }
  s.awaits = true;
  return true;
}

/** Takes places for the blocks that are away, all or none. */
export function comeBack(s: Sequence, store: BlockStore): boolean {
  if (!s.awaits) return true;
  const taken: number[] = [];
  for (const id of own(s, store)) {
    if (!store.isAway(id) || store.isPlaced(id) || store.isSpilled(id)) {
      continue;
    }
    if (!store.comeBack(id)) {
      for (const done of taken) store.leave(done);
      return false;
    }
    taken.push(id);
  }
  return true;
}

/** Whether some of its blocks are away, and not to stay there. */
export function isAway(s: Sequence, store: BlockStore): boolean {
  if (!s.awaits) return false;
  for (const id of blocks(s)) {
    if (store.isAway(id) && !store.isSpilled(id)) return true;
  }
  return s.awaits = false;
}

/** Begins to bring what is away to its places; `land()` waits for it. */
export function summon(s: Sequence, store: BlockStore): void {
  if (!s.awaits) return;
  for (const id of blocks(s)) {
    if (!store.isAway(id) || !store.isPlaced(id)) continue;
    if (store.tiers.alters(id)) s.altered = true;
    store.tiers.get(id, store);
  }
}

/** Whether there is something to wait for: it is away, on its way and not lost. */
export function isComing(s: Sequence, store: BlockStore): boolean {
  if (!isAway(s, store)) return false;
  let coming = false;
  for (const id of blocks(s)) {
    if (!store.isAway(id) || store.isSpilled(id)) continue;
    if (!store.tiers.isComing(id)) return false;
    coming = true;
  }
  return coming;
}

/** When the first of its blocks that are on their way will be here, or lost. */
export function arrival(
  s: Sequence,
  store: BlockStore,
): Promise<boolean> | undefined {
  for (const id of blocks(s)) {
    const coming = store.isAway(id) ? store.tiers.arrival(id) : undefined;
    if (coming !== undefined) return coming;
  }
  return undefined;
}

/**
 * Brings the bytes of all that is away to its places. Throws `LostBlocks` with
 * every sequence for which that fails.
 */
export function land(
  seqs: readonly Sequence[],
  count: number,
  store: BlockStore,
): MaybePromise<void> {
  let away = false;
  for (let i = 0; i < count; i++) away = isAway(seqs[i]!, store) || away;
  if (!away) return;
  return landAll(seqs.slice(0, count).filter((s) => s.awaits), store);
}

async function landAll(
  seqs: readonly Sequence[],
  store: BlockStore,
): Promise<void> {
  const lost = new Map<SeqId, number>();
  for (const s of seqs) summon(s, store);
  for (const s of seqs) {
    const { length } = s;
    let whole = length;
    for (const table of s.tables) {
      const tokens = table.blockTokens;
      for (let b = 0; b < table.count && b * tokens < whole; b++) {
        const id = table.ids[b]!;
        if (!store.isAway(id) || store.isSpilled(id)) continue;
        if (!store.isPlaced(id)) {
          throw new TypeError(
            `Cannot load sequence ${s.id}: it was swapped out; call comeBack() first`,
          );
        }
        if (!await store.tiers.get(id, store)) whole = b * tokens;
      }
    }
    if (whole < length) lost.set(s.id, whole);
    isAway(s, store);
  }
  if (lost.size > 0) throw new LostBlocks(lost);
}
