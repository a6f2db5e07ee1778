/**
 * Which tokens may follow.
 *
 * @module
 */
import type { Machine, Spot, Way } from "./machine.ts";
import type { TokenTree } from "./token_tree.ts";

/** A mask of at most so many tokens lists them. */
const SHORT = 1024;

/** Masks are forgotten once they take so many bytes. */
const MOST_BYTES = 48 << 20;

/** The tokens that may follow. */
export interface Mask {
  /** How many there are. */
  readonly count: number;
  /** Their ids, ascending, where they are few. */
  readonly ids: Int32Array | undefined;
  /** A bit for each token of the vocabulary, where they are many. */
  readonly bits: Uint32Array | undefined;
  /** Behind any of them there are at most so many tokens to the shortest end. */
  readonly reach: number;
}

/** Whether a token is among them. */
export function allows({ ids, bits }: Mask, token: number): boolean {
  if (bits !== undefined) {
    return (bits[token >> 5]! >>> (token & 31) & 1) === 1;
  }
  let low = 0, high = ids!.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (ids![middle]! < token) low = middle + 1;
    else high = middle;
  }
  return ids![low] === token;
}

/** What tokens do within one terminal, wherever that is. */
interface Inner {
  readonly bits: Uint32Array;
  /** Pairs of a node of the tree with more below it, and a tag: it may end there. */
  readonly exits: readonly number[];
  /** By how many tokens any of them is farther from the end, at most. */
  readonly farther: number;
}

/** Finds masks, and keeps them. */
export class Masks {
  readonly #machine: Machine;
  readonly #tree: TokenTree;
  readonly #inners = new WeakMap<object, Map<number, Inner>>();
  readonly #words: Uint32Array;
  readonly #path: Int32Array = new Int32Array(257);
  readonly #spots: (Spot | undefined)[] = new Array(257);
  #kept: Spot[] = [];
  #bytes = 0;
  #reach = 0;

  constructor(machine: Machine, tree: TokenTree) {
    this.#machine = machine;
    this.#tree = tree;
    this.#words = new Uint32Array(Math.ceil(tree.vocab / 32));
  }

  /** All tokens that lead anywhere. */
  of(spot: Spot): Mask {
    return spot.mask ??= this.#keep(spot, this.#all(spot));
  }

  /** Those behind which at most `most` tokens are missing to the shortest end. */
  within(spot: Spot, most: number): Mask {
    const all = this.of(spot);
    if (all.reach <= most) return all;
    let mask = spot.nearer.get(most);
    if (mask === undefined) {
      this.#words.fill(0);
      this.#walk(spot, 0, most);
      mask = this.#keep(spot, this.#cut(spot));
      spot.nearer.set(most, mask);
    }
    return mask;
  }

  #all(spot: Spot): Mask {
    const words = this.#words.fill(0);
    this.#reach = 0;
    for (const way of spot.ways) {
      const { bits, exits, farther } = this.#inner(way);
      for (let i = 0; i < words.length; i++) words[i]! |= bits[i]!;
      this.#reach = Math.max(this.#reach, way.rest + farther);
      const behind = new Map<number, Spot | undefined>();
      for (let i = 0; i < exits.length; i += 2) {
        const tag = exits[i + 1]!;
        if (!behind.has(tag)) behind.set(tag, this.#machine.ending(way, tag));
        const to = behind.get(tag);
        if (to !== undefined) this.#walk(to, exits[i]!, Infinity);
      }
    }
    return this.#cut(spot);
  }

  /** Marks the tokens below a node that may follow a spot. */
  #walk(spot: Spot, top: number, most: number): void {
    const { bytes, depths, ends } = this.#tree, spots = this.#spots;
    const end = ends[top]!, above = depths[top]!;
    spots[above] = spot;
    for (let node = top + 1; node < end;) {
      const depth = depths[node]!;
      const to = this.#machine.step(spots[depth - 1]!, bytes[node]!);
      if (to === undefined) {
        node = ends[node]!;
        continue;
      }
      spots[depth] = to;
      if (to.rest <= most && this.#mark(this.#words, node)) {
        this.#reach = Math.max(this.#reach, to.rest);
      }
      node++;
    }
  }

  /** Marks the tokens that end at a node; whether there are any. */
  #mark(words: Uint32Array, node: number): boolean {
    const { firsts, tokens } = this.#tree;
    const from = firsts[node]!, to = firsts[node + 1]!;
    for (let i = from; i < to; i++) {
      words[tokens[i]! >> 5]! |= 1 << (tokens[i]! & 31);
    }
    return to > from;
  }

  #inner({ option, state }: Way): Inner {
    const { terminal } = option, tree = this.#tree;
    // How far ends are depends on what is behind them.
    const owner = terminal!.tags === 1 ? terminal! : option;
    let inners = this.#inners.get(owner);
    if (inners === undefined) this.#inners.set(owner, inners = new Map());
    const key = terminal!.key(state, tree);
    let inner = inners.get(key);
    if (inner === undefined) {
      inners.set(key, inner = this.#within(option, state));
    }
    return inner;
  }

  #within({ terminal, rest }: Way["option"], state: number): Inner {
    const { bytes, depths, ends, firsts } = this.#tree, path = this.#path;
    const bits = new Uint32Array(this.#words.length), exits: number[] = [];
    const own = rest(state);
    let farther = -Infinity;
    path[0] = state;
    for (let node = 1; node < bytes.length;) {
      const depth = depths[node]!;
      const to = terminal!.step(path[depth - 1]!, bytes[node]!);
      const left = to < 0 ? Infinity : rest(to);
      // A vocabulary that lacks bytes has states that lead nowhere.
      if (left === Infinity) {
        node = ends[node]!;
        continue;
      }
      path[depth] = to;
      if (firsts[node + 1]! > firsts[node]!) {
        this.#mark(bits, node);
        farther = Math.max(farther, left - own);
      }
      const tag = terminal!.tag(to);
      if (tag >= 0 && ends[node]! > node + 1) exits.push(node, tag);
      node++;
    }
    return { bits, exits, farther };
  }

  /** What is marked, and what ends the answer where it may end. */
  #cut({ done }: Spot): Mask {
    const words = this.#words, { eog } = this.#tree;
    if (done) { for (const id of eog) words[id >> 5]! |= 1 << (id & 31); }
    let count = 0;
    for (let i = 0; i < words.length; i++) count += ones(words[i]!);
    const reach = this.#reach;
    if (count > SHORT) {
      return { count, ids: undefined, bits: words.slice(), reach };
    }
    const ids = new Int32Array(count);
    let n = 0;
    for (let i = 0; i < words.length; i++) {
      for (let w = words[i]!; w !== 0; w &= w - 1) {
        ids[n++] = i * 32 + 31 - Math.clz32(w & -w);
      }
    }
    return { count, ids, bits: undefined, reach };
  }

  #keep(spot: Spot, mask: Mask): Mask {
    this.#bytes += (mask.ids ?? mask.bits!).byteLength;
    if (this.#bytes > MOST_BYTES) {
      this.#bytes = 0;
      for (const old of this.#kept) {
        old.mask = undefined;
        old.nearer.clear();
      }
      this.#kept = [];
    }
    this.#kept.push(spot);
    return mask;
  }
}

function ones(word: number): number {
  let w = word - ((word >>> 1) & 0x55555555);
  w = (w & 0x33333333) + ((w >>> 2) & 0x33333333);
  return Math.imul((w + (w >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
