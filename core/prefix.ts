/**
 * Finds the longest start of a prompt whose blocks are all there.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { KeyChain } from "./content_key.ts";
import type { GroupPlan } from "./plan.ts";
import type { Miss, PrefixIndex } from "./slots.ts";

/** What was found, by group. */
export interface PrefixHit {
  /** Positions, a multiple of every group's block; 0 for none. */
  readonly length: number;
  /** How many of them without anything from tiers. */
  readonly here: number;
  /** What lengths are multiples of. */
  readonly step: number;
  /**
   * Block ids for [0, length), of which some may be of no use; 0 for none, and
   * `-1 - t` for one that tier t has.
   */
  readonly blocks: readonly Int32Array[];
  /** The digest after each block. */
  readonly digests: readonly (readonly Uint8Array[])[];
  /** Why it is not longer; undefined where no more could be shared. */
  readonly miss: Miss | undefined;
}

/** Blocks of one group along the prompt. */
interface Found {
  readonly ids: Int32Array;
  readonly digests: readonly Uint8Array[];
  /** How many blocks up to and including b are there without a gap. */
  readonly runs: Int32Array;
  /** Likewise, of those on the device. */
  readonly here: Int32Array;
}

/** Where prompts are looked up. */
export interface PrefixPlaces {
  readonly groups: readonly GroupPlan[];
  readonly chains: readonly KeyChain[];
  readonly store: BlockStore;
  readonly index: PrefixIndex;
}

/**
 * Looks up `prompt` but its last token, whose logits somebody wants. A length
 * is good when every group has each block that the query there can see. `deviceOnly`:
 * tiers are not asked, and nobody wants to know why it is not longer.
 */
export function findPrefix(
  prompt: ArrayLike<number>,
  salt: string,
  places: PrefixPlaces,
  deviceOnly = false,
): PrefixHit {
  const { groups } = places;
  const { step, most } = reachOf(prompt, groups);
  const found = groups.map((_, g) =>
    lookUp(prompt, salt, most, g, places, deviceOnly)
  );
  const longest = (runs: "runs" | "here"): number => {
    let length = most;
    while (
      length > 0 && !groups.every((g, i) => holds(g, found[i]![runs], length))
    ) length -= step;
    return length;
  };
  const length = longest("runs");
  const here = found.every((f) => f.runs === f.here) ? length : longest("here");
  const blocks = groups.map((g, i) =>
    found[i]!.ids.subarray(0, length / g.shape.tokens)
  );
  const digests = found.map((f) => f.digests);
  const miss = deviceOnly
    ? undefined
    : length < most
    ? explainMiss(prompt, salt, length + step, places, found)
    : most === 0
    ? { reason: "short", position: 0, block: 0, group: 0 } as const
    : undefined;
  return { length, here, step, blocks, digests, miss };
}

/** Blocks of one group that are not on the device. */
export interface MissingKeys {
  /** The first of them, counted from the start of the prompt. */
  readonly from: number;
  /** All from there on, whether there or not. */
  readonly keys: readonly string[];
}

/** What tiers may be asked for of `prompt`, by group. */
export function missingKeys(
  prompt: ArrayLike<number>,
  salt: string,
  places: PrefixPlaces,
): readonly MissingKeys[] {
  const { groups, chains, store } = places;
  const { most } = reachOf(prompt, groups);
  return groups.map((group, g) => {
    const chain = chains[g]!, keys: string[] = [];
    const digest = new Uint8Array(32);
    let from = 0;
    chain.reset(digest, salt);
    for (let at = 0; at < most; at += group.shape.tokens) {
      chain.advance(digest, prompt, at);
      const key = chain.key(digest);
      if (keys.length === 0 && store.find(key, g) !== 0) from++;
      else keys.push(key);
    }
    return { from, keys };
  });
}

function reachOf(
  prompt: ArrayLike<number>,
  groups: readonly GroupPlan[],
): { readonly step: number; readonly most: number } {
  const step = groups.map((g) => g.shape.tokens).reduce(leastMultiple);
  return {
    step,
    most: Math.max(0, Math.floor((prompt.length - 1) / step) * step),
  };
}

/** What keeps the first `length` positions from being found. */
function explainMiss(
  prompt: ArrayLike<number>,
  salt: string,
  length: number,
  { groups, chains, index }: PrefixPlaces,
  found: readonly Found[],
): Miss {
  const at = groups.findIndex((g, i) => !holds(g, found[i]!.runs, length));
  const group = groups[at]!, { ids, digests } = found[at]!;
  const { tokens } = group.shape;
  const kept = Math.ceil(group.sight.sink(length) / tokens);
  const start = Math.floor(group.sight.start(length) / tokens);
  let block = Math.floor(group.sight.first(length) / tokens);
  while (ids[block] !== 0 || (block >= kept && block < start)) block++;
  const key = (b: number): string => b < 0 ? "" : chains[at]!.key(digests[b]!);
  const from = block * tokens;
  const why = index.why?.(key(block), {
    parent: key(block - 1),
    tokens: prompt,
    from,
    to: from + tokens,
    group: at,
    chained: group.sight.full,
    priority: 0,
    salt,
  }) ?? { reason: "unseen", position: from };
  return { ...why, group: at, block };
}

function lookUp(
  prompt: ArrayLike<number>,
  salt: string,
  most: number,
  g: number,
  { groups, chains, store }: PrefixPlaces,
  deviceOnly: boolean,
): Found {
  const { shape: { tokens }, sight } = groups[g]!, chain = chains[g]!;
  const blocks = most / tokens;
  const ids = new Int32Array(blocks);
  const digests: Uint8Array[] = [];
  const digest = new Uint8Array(32);
  const below = !deviceOnly && store.contents.any;
  chain.reset(digest, salt);
  for (let b = 0; b < blocks; b++) {
    chain.advance(digest, prompt, b * tokens);
    digests.push(digest.slice());
    ids[b] = store.find(chain.key(digest), g);
    // Where everything is seen, nothing behind a gap is of use.
    if (ids[b] === 0 && sight.full && !below) break;
  }
  const here = runsOf(ids);
  if (!below) return { ids, digests, runs: here, here };
  const missing: number[] = [];
  for (let b = 0; b < blocks; b++) if (ids[b] === 0) missing.push(b);
  if (missing.length === 0) return { ids, digests, runs: here, here };
  const keys = missing.map((b) => chain.key(digests[b]!));
  const tiers = store.contents.find(keys, salt, tokens);
  for (const [i, b] of missing.entries()) {
    if (tiers[i]! >= 0) ids[b] = -1 - tiers[i]!;
  }
  return { ids, digests, runs: runsOf(ids), here };
}

function runsOf(ids: Int32Array): Int32Array {
  const runs = new Int32Array(ids.length);
  for (let b = 0; b < ids.length; b++) {
    runs[b] = ids[b] === 0 ? 0 : 1 + (b > 0 ? runs[b - 1]! : 0);
  }
  return runs;
}

function holds(group: GroupPlan, runs: Int32Array, length: number): boolean {
  const { sight, shape } = group;
  const end = length / shape.tokens;
  const from = Math.floor(sight.start(length) / shape.tokens);
  const kept = Math.min(end, Math.ceil(sight.sink(length) / shape.tokens));
  const first = Math.floor(sight.first(length) / shape.tokens);
  return (from >= end || runs[end - 1]! >= end - from) &&
    (kept === 0 || runs[kept - 1]! >= kept - first);
}

/** The least number that both divide. */
export function leastMultiple(a: number, b: number): number {
  let x = a;
  let y = b;
  while (y > 0) [x, y] = [y, x % y];
  return a / x * b;
}
