/**
 * Sequences out of the device's memory and back.
 *
 * ```text
 *  swapOut ─▶ away, no places ─▶ comeBack ─▶ places taken ─▶ land ─▶ as before
 *                    ▲                            │
 *                    └────────── swapOut ─────────┘
 * ```
 * Only blocks that nobody else uses leave: the others would give no memory back.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { Sequence } from "./sequence.ts";
import type { MaybePromise, SeqId } from "./types.ts";

/** Blocks that no tier could give back: their sequences have to begin anew. */
export class LostBlocks extends Error {
  override readonly name = "LostBlocks";
  readonly seqs: readonly SeqId[];

  constructor(seqs: readonly SeqId[]) {
    super(
      `Cannot load the blocks of sequence ${
        seqs.join(", ")
      }: no tier has them any more; compute them again`,
    );
    this.seqs = seqs;
  }
}

/** Blocks of a sequence that nobody else uses. */
function* own(s: Sequence, store: BlockStore): Iterable<number> {
  for (const table of s.tables) {
    for (let b = 0; b < table.count; b++) {
      const id = table.ids[b]!;
      if (id !== 0 && store.refs(id) === 1) yield id;
    }
  }
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
    if (!store.isAway(id)) {
      if (!store.tiers.put(id, store)) return false;
      s.away++;
    }
    store.leave(id);
  }
  return true;
}

/** Takes places for the blocks that are away, all or none. */
export function comeBack(s: Sequence, store: BlockStore): boolean {
  if (s.away === 0) return true;
  const taken: number[] = [];
  for (const id of own(s, store)) {
    if (!store.isAway(id) || store.isPlaced(id)) continue;
    if (!store.comeBack(id)) {
      for (const done of taken) store.leave(done);
      return false;
    }
    taken.push(id);
  }
  return true;
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
  let away = 0;
  for (let i = 0; i < count; i++) away += seqs[i]!.away;
  if (away === 0) return;
  return landAll(seqs.slice(0, count).filter((s) => s.away > 0), store);
}

async function landAll(
  seqs: readonly Sequence[],
  store: BlockStore,
): Promise<void> {
  const lost: SeqId[] = [];
  for (const s of seqs) {
    for (const id of [...own(s, store)]) {
      if (!store.isAway(id)) continue;
      if (!store.isPlaced(id)) {
        throw new TypeError(
          `Cannot load sequence ${s.id}: it was swapped out; call comeBack() first`,
        );
      }
      if (store.tiers.alters(id)) s.altered = true;
      if (!await store.tiers.get(id, store)) {
        lost.push(s.id);
        break;
      }
      store.landed(id);
      s.away--;
    }
  }
  if (lost.length > 0) throw new LostBlocks(lost);
}
