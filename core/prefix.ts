/**
 * Finds the longest start of a prompt whose blocks are all there.
 *
 * @module
 */
import type { BlockStore } from "./block_store.ts";
import type { KeyChain } from "./content_key.ts";
import type { GroupPlan } from "./plan.ts";

/** What was found, by group. */
export interface PrefixHit {
  /** Positions, a multiple of every group's block. */
  readonly length: number;
  /** Block ids for [0, length), of which some may be of no use; 0 for none. */
  readonly blocks: readonly Int32Array[];
  /** The digest after them. */
  readonly digests: readonly Uint8Array[];
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
  groups: readonly GroupPlan[],
  chains: readonly KeyChain[],
  store: BlockStore,
): PrefixHit | undefined {
  const step = groups.map((g) => g.shape.tokens).reduce(leastMultiple);
  const most = Math.floor((prompt.length - 1) / step) * step;
  if (most <= 0) return undefined;
  const found = groups.map((g, i) =>
    lookUp(prompt, most / g.shape.tokens, g, i, chains[i]!, store)
  );
  for (let length = most; length > 0; length -= step) {
    if (!groups.every((g, i) => holds(g, found[i]!, length))) continue;
    return {
      length,
      blocks: groups.map((g, i) =>
        found[i]!.ids.subarray(0, length / g.shape.tokens)
      ),
      digests: groups.map((g, i) =>
        found[i]!.digests[length / g.shape.tokens - 1]!
      ),
    };
  }
  return undefined;
}

function lookUp(
  prompt: ArrayLike<number>,
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
  chain.reset(digest);
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
  return (from >= end || found.runs[end - 1]! >= end - from) &&
    (kept === 0 || found.runs[kept - 1]! >= kept);
}

function leastMultiple(a: number, b: number): number {
  let x = a;
  let y = b;
  while (y > 0) [x, y] = [y, x % y];
  return a / x * b;
}
