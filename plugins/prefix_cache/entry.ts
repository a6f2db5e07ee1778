/**
 * What the prefix cache knows of one block.
 *
 * @module
 */
import type { BlockContent } from "../../core/slots.ts";
import type { BlockId } from "../../core/types.ts";

/** A node of the forest of chains; `children` continue it by one block. */
export interface Entry {
  readonly key: string;
  readonly block: BlockId;
  readonly tokens: Int32Array;
  readonly salt: string;
  /** Of all tokens up to the block's end and the group, not of the salt. */
  readonly hash: number;
  /** Key of the block before it; "" for the first. */
  readonly before: string;
  /** For the first block of a chain: where others like it are. */
  readonly root: string | undefined;
  /** The block before it; undefined for the first, or where that one is gone. */
  parent: Entry | undefined;
  readonly children: Set<Entry>;
  /** Later blocks are of no use without it. */
  readonly chained: boolean;
  priority: number;
  /** Used by no sequence. */
  idle: boolean;
}

/** Where the first blocks of a group and a salt are; undefined for later ones. */
export function rootOf(
  { group, salt, parent }: BlockContent,
): string | undefined {
  return parent === "" ? `${group}/${salt}` : undefined;
}

/** The tokens of a block. */
export function blockTokens({ tokens, from, to }: BlockContent): Int32Array {
  return Int32Array.from({ length: to - from }, (_, i) => tokens[from + i]!);
}

/**
 * Hash of a block's tokens and all before them; `parent` saves reading those.
 * Equal hashes are only ever a hint: what is shared is decided by keys.
 */
export function contentHash(
  { tokens, from, to, group }: BlockContent,
  parent: Entry | undefined,
): number {
  let h = parent?.hash ?? Math.imul(group + 1, 0x9e3779b1);
  for (let i = parent === undefined ? 0 : from; i < to; i++) {
    h = Math.imul(h ^ tokens[i]!, 0x01000193);
    h ^= h >>> 15;
  }
  return h;
}

/** How many tokens of a block are as in `content`, counted from its start. */
export function commonTokens(
  entry: Entry,
  { tokens, from }: BlockContent,
): number {
  let n = 0;
  while (n < entry.tokens.length && entry.tokens[n] === tokens[from + n]) n++;
  return n;
}
