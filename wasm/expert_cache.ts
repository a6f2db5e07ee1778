/**
 * Slots in which experts come and go one by one, as their words say it.
 *
 * The words begin as a ring's do (ring.ts), and feeders go by them in the same way; but
 * they fill a slot when a step asks for it, not in a fixed order. Item n is an expert of
 * a layer; items of a layer follow one another.
 *
 * ```text
 *  words, i32   0 lock   1 bell   2 failed   3 asked    requests so far
 *               4 begun  requests being read            5 hits   6 clock   7 chunk
 *               8 + 2 s  says     1 once what slot s is for is whole
 *               9 + 2 s  left     chunks of it that are missing
 *  owners       s        the item that slot s is for, -1 for none
 *  requests     2 r      item, slot: a queue, as long as a layer may have experts
 *  items        3 n      its slot or -1, when it was last used, how often it was read
 * ```
 * One worker asks, between two barriers, for what a layer lacks: assembly/cache.ts.
 *
 * @module
 */
import type { WeightStat } from "../core/backend.ts";
import type { ModelSpec } from "../core/model.ts";
import type { Ring } from "./load.ts";
import { SLOT_WORDS, WORD } from "./ring.ts";

/** An expert that may come and go. */
export interface ExpertItem {
  readonly layer: number;
  readonly expert: number;
  /** Its matrices. */
  readonly names: readonly string[];
}

/** Words of an item. */
const ITEM_WORDS = 3;

/** Where the words of a cache begin, counted from word 0. */
export interface CacheWords {
  readonly owners: number;
  readonly queue: number;
  /** Requests that the queue has room for, a power of two. */
  readonly capacity: number;
  readonly items: number;
  readonly length: number;
}

/** Every expert but those that all rows take. */
export function expertItems(spec: ModelSpec): readonly ExpertItem[] {
  return spec.layers.flatMap(({ experts }, layer) =>
    (experts?.each ?? []).map(({ gate, up, down }, expert) => ({
      layer,
      expert,
      names: [gate, up, down],
    }))
  );
}

/** Most of these that a layer has. */
export function mostExperts(spec: ModelSpec): number {
  return Math.max(0, ...spec.layers.map((l) => l.experts?.each.length ?? 0));
}

/** Where the words of so many slots and items lie; `most`: experts of a layer. */
export function cacheWords(
  depth: number,
  items: number,
  most: number,
): CacheWords {
  const owners = WORD.slots + depth * SLOT_WORDS / 4, queue = owners + depth;
  const capacity = 2 ** Math.ceil(Math.log2(Math.max(1, most)));
  const first = queue + 2 * capacity;
  const length = first + items * ITEM_WORDS;
  return { owners, queue, capacity, items: first, length };
}

/** The words of a ring's cache. */
export function wordsOf({ depth, layers, most }: Ring): CacheWords {
  return cacheWords(depth, layers.length, most!);
}

/** Nobody owns anything yet. */
export function clearCache(words: Int32Array, ring: Ring): void {
  const { owners, queue, items, length } = wordsOf(ring);
  words.fill(-1, owners, queue);
  for (let at = items; at < length; at += ITEM_WORDS) words[at] = -1;
}

/** What an Experts record says of its layer's cache; see assembly/experts.ts. */
export function cacheFields(
  ring: Ring,
  words: number,
  layer: number,
): readonly number[] {
  const { owners, queue, capacity, items } = wordsOf(ring);
  const at = (word: number): number => words + word * 4;
  const { depth, base, slotBytes } = ring;
  return [
    ...[words, at(items), firstItem(ring, layer), at(owners), at(queue)],
    ...[capacity - 1, depth, base, slotBytes],
  ];
}

/** And what an Each record does. */
export function waitingFields(
  ring: Ring,
  words: number,
  layer: number,
  experts: number,
): readonly number[] {
  const { items } = wordsOf(ring);
  return [words, words + items * 4, firstItem(ring, layer), experts];
}

function firstItem({ layers }: Ring, layer: number): number {
  return layers.findIndex((l) => l.layer === layer);
}

/** How often experts were there, and what was read. */
export function cacheStat(words: Int32Array, ring: Ring): WeightStat {
  const { items } = wordsOf(ring);
  let misses = 0, bytes = 0;
  ring.layers.forEach((item, i) => {
    const times = words[items + i * ITEM_WORDS + 2]! >>> 0;
    misses += times;
    bytes += times * item.bytes;
  });
  return { hits: words[WORD.layer]! >>> 0, misses, bytes };
}
