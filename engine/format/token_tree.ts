/**
 * The bytes of a vocabulary's tokens as a tree, for going through all of them at once.
 *
 * @module
 */
import type { Tokenizer } from "../../models/tokenizer.ts";

/** Longest token that is looked at, bytes. */
const LONGEST = 255;

/**
 * Nodes in the order of their bytes, each behind the one above it.
 *
 * ```text
 *  node       0    1    2     3            tokens "a", "ab", "c"
 *  bytes      -    a    ab    c            bytes[node]: the last of them
 *  depths     0    1    2     1
 *  ends       4    3    3     4            behind the last node below it
 *  firsts     0    0    1     2     3      its tokens: tokens[firsts[i] .. firsts[i + 1])
 * ```
 * Control tokens, and such that stand for nothing, are not in it.
 */
export interface TokenTree {
  /** See the drawing. */
  readonly bytes: Uint8Array;
  readonly depths: Uint8Array;
  readonly ends: Int32Array;
  readonly firsts: Int32Array;
  readonly tokens: Int32Array;
  /** Whether a byte is a token by itself. */
  readonly single: Uint8Array;
  /** Characters that begin in a token, at most. */
  readonly longest: number;
  /** Tokens of the vocabulary. */
  readonly vocab: number;
  /** Tokens that end a text. */
  readonly eog: readonly number[];
}

const trees = new WeakMap<Tokenizer, TokenTree>();

/** The tree of a vocabulary, made once. */
export function treeOf(tokenizer: Tokenizer): TokenTree {
  let tree = trees.get(tokenizer);
  if (tree === undefined) trees.set(tokenizer, tree = makeTree(tokenizer));
  return tree;
}

function makeTree(tokenizer: Tokenizer): TokenTree {
  const { vocab, eog } = tokenizer;
  const ids: number[] = [], spelled: string[] = [];
  for (let id = 0; id < vocab; id++) {
    if (eog.has(id) || !tokenizer.isText(id)) continue;
    const bytes = tokenizer.bytes(id);
    if (bytes.length === 0 || bytes.length > LONGEST) continue;
    ids.push(id);
    // A character for each byte: such texts compare as their bytes do.
    spelled[id] = String.fromCharCode(...bytes);
  }
  ids.sort((a, b) => spelled[a]! < spelled[b]! ? -1 : +(a !== b));
  let count = 1;
  for (const id of ids) count += spelled[id]!.length;
  const bytes = new Uint8Array(count), depths = new Uint8Array(count);
  const ends = new Int32Array(count), firsts = new Int32Array(count + 1);
  const single = new Uint8Array(256);
  const path = [0];
  let nodes = 1, longest = 1, before = "";
  ids.forEach((id, at) => {
    const text = spelled[id]!;
    let shared = 0;
    while (shared < before.length && before[shared] === text[shared]) shared++;
    for (let d = path.length; d > shared + 1; d--) ends[path.pop()!] = nodes;
    for (let d = shared; d < text.length; d++) {
      bytes[nodes] = text.charCodeAt(d);
      depths[nodes] = d + 1;
      firsts[nodes] = at;
      path.push(nodes++);
    }
    if (text.length === 1) single[text.charCodeAt(0)] = 1;
    longest = Math.max(longest, begun(text));
    before = text;
  });
  for (const node of path) ends[node] = nodes;
  firsts[nodes] = ids.length;
  return {
    bytes: bytes.slice(0, nodes),
    depths: depths.slice(0, nodes),
    ends: ends.slice(0, nodes),
    firsts: firsts.slice(0, nodes + 1),
    tokens: Int32Array.from(ids),
    single,
    longest,
    vocab,
    eog: [...eog],
  };
}

/** How many characters begin in it. */
function begun(text: string): number {
  let n = 0;
  for (let i = 0; i < text.length; i++) {
    if ((text.charCodeAt(i) & 0xc0) !== 0x80) n++;
  }
  return n;
}
