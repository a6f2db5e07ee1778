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
  /** Block ids for [0, length), of which some may be of no use; 0 for none. */
  readonly blocks: readonly Int32Array[];
  /** The digest after them. */
  readonly digests: readonly Uint8Array[];
  /** Why it is not longer; undefined where no more could be shared. */
  readonly miss: Miss | undefined;
}

/** Blocks of one group along the prompt. */
interface Found {
  readonly ids: Int32Array;
  readonly digests: readonly Uint8Array[];
  /** How many blocks up to and including b are there without a gap. */
  readonly runs: Int32Array;
}

/**
 * Looks up `prompt` but its last token, whose logits somebody wants. A length
 * is good when every group has each block that the query there can see.
 */
export function findPrefix(
  prompt: ArrayLike<number>,
  salt: string,
  groups: readonly GroupPlan[],
  chains: readonly KeyChain[],
  store: BlockStore,
  index: PrefixIndex,
  explain = true,
): PrefixHit {
  const step = groups.map((g) => g.shape.tokens).reduce(leastMultiple);
  const most = Math.max(0, Math.floor((prompt.length - 1) / step) * step);
  const found = groups.map((g, i) =>
    lookUp(prompt, salt, most / g.shape.tokens, g, i, chains[i]!, store)
  );
  let length = most;
  while (length > 0 && !groups.every((g, i) => holds(g, found[i]!, length))) {
    length -= step;
  }
  const blocks = groups.map((g, i) =>
    found[i]!.ids.subarray(0, length / g.shape.tokens)
  );
  const digests = length === 0
    ? []
    : groups.map((g, i) => found[i]!.digests[length / g.shape.tokens - 1]!);
  const miss = !explain
    ? undefined
    : length < most
    ? explainMiss(prompt, salt, length + step, groups, chains, found, index)
    : most === 0
    ? { reason: "short", position: 0, block: 0, group: 0 } as const
    : undefined;
  return { length, blocks, digests, miss };
}

/** What keeps the first `length` positions from being found. */
function explainMiss(
  prompt: ArrayLike<number>,
  salt: string,
  length: number,
  groups: readonly GroupPlan[],
  chains: readonly KeyChain[],
  found: readonly Found[],
  index: PrefixIndex,
): Miss {
  const at = groups.findIndex((g, i) => !holds(g, found[i]!, length));
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
  blocks: number,
  group: GroupPlan,
  groupIndex: number,
  chain: KeyChain,
  store: BlockStore,
): Found {
  const ids = new Int32Array(blocks);
  const runs = new Int32Array(blocks);
  const digests: Uint8Array[] = [];
  const digest = new Uint8Array(32);
  chain.reset(digest, salt);
  for (let b = 0; b < blocks; b++) {
    chain.advance(digest, prompt, b * group.shape.tokens);
    digests.push(digest.slice());
    const id = store.find(chain.key(digest), groupIndex);
    ids[b] = id;
    runs[b] = id === 0 ? 0 : 1 + (b > 0 ? runs[b - 1]! : 0);
    // Where everything is seen, nothing behind a gap is of use.
    if (id === 0 && group.sight.full) break;
  }
  return { ids, runs, digests };
}

function holds(group: GroupPlan, found: Found, length: number): boolean {
  const { sight, shape } = group;
  const end = length / shape.tokens;
  const from = Math.floor(sight.start(length) / shape.tokens);
  const kept = Math.min(end, Math.ceil(sight.sink(length) / shape.tokens));
  const first = Math.floor(sight.first(length) / shape.tokens);
  return (from >= end || found.runs[end - 1]! >= end - from) &&
    (kept === 0 || found.runs[kept - 1]! >= kept - first);
}

/** The least number that both divide. */
export function leastMultiple(a: number, b: number): number {
  let x = a;
  let y = b;
  while (y > 0) [x, y] = [y, x % y];
  return a / x * b;
}
