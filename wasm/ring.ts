/**
 * The ring of slots that streamed layers go through, as its words say it.
 *
 * Layers are filled and used in one endless order, step after step: fill n is layer
 * n mod S of those that are streamed, and lies in slot n mod depth.
 *
 * ```text
 *  words, i32   0 lock   1 bell   2 failed   3 released     fills given back so far
 *               4 fill   5 layer  6 slot     7 chunk        what is read next
 *               8 + 2 s  says     the fill in slot s, plus 1, once it is whole
 *               9 + 2 s  left     chunks of it that are missing
 * ```
 * Words 2 and 4 to 7, and what slots say, change under the lock only, and slots say
 * nothing new once 2 is set. Whoever waits for anything waits for the bell. Counts go
 * round: they are compared by their difference.
 *
 * @module
 */
import type { LedgerLine } from "../core/ledger.ts";
import { wordsOf } from "./expert_cache.ts";
import { lines } from "./kernels.ts";
import type { Ring } from "./load.ts";

/** Words by name; see the drawing. */
export const WORD = {
  lock: 0,
  bell: 1,
  failed: 2,
  released: 3,
  fill: 4,
  layer: 5,
  slot: 6,
  chunk: 7,
  slots: 8,
} as const;

/** Bytes of a slot's words. */
export const SLOT_WORDS = 8;

/** Bytes that the words take, those of a cache of experts included. */
export function ringWordBytes(ring: Ring): number {
  return ring.most === undefined
    ? WORD.slots * 4 + ring.depth * SLOT_WORDS
    : wordsOf(ring).length * 4;
}

/** What a layer's Wait is written with; `words` is the address of word 0. */
export function waitFields(ring: Ring, words: number, k: number): number[] {
  const at = (word: number): number => words + word * 4;
  const says = at(WORD.slots) + k % ring.depth * SLOT_WORDS;
  return [says, k + 1, at(WORD.bell), at(WORD.failed)];
}

/** What its Release is written with; the addresses are those of its records. */
export function releaseFields(
  { base, slotBytes, depth, layers }: Ring,
  words: number,
  records: { readonly wait: number; readonly end: number },
  recordBytes: number,
): number[] {
  const at = (word: number): number => words + word * 4;
  const shift = layers.length % depth, says = at(WORD.slots);
  return [
    ...[records.wait, records.wait + recordBytes, records.end],
    ...[base, base + depth * slotBytes, shift * slotBytes],
    ...[says, says + depth * SLOT_WORDS, shift * SLOT_WORDS],
    ...[layers.length, at(WORD.released), at(WORD.bell)],
  ];
}

/** Who holds what of streamed layers, beside the feeders' working memory. */
export function ringLines(ring: Ring | undefined): readonly LedgerLine[] {
  if (ring === undefined) return [];
  const line = (
    tier: string,
    component: string,
    bytes: number,
  ): LedgerLine => ({
    tier,
    owner: "weights",
    component,
    bytes,
    peak: bytes,
  });
  const slots = lines(ring.slotBytes * ring.depth);
  const host = ring.hosts.reduce((sum, b) => sum + b.byteLength, 0);
  const what = ring.most === undefined ? "streamed layers" : "experts";
  return [
    line("device", `${ring.depth} slots of ${what}`, slots),
    ...host === 0 ? [] : [line("host", what, host)],
  ];
}
