/**
 * The library's byte-pair encoding over ranks that are looked up, not stored.
 *
 * @module
 */
import { BPE } from "npm:@huggingface/tokenizers@0.2.0";

/** How soon two neighbours merge: least first, undefined for never. */
export type RankOf = (left: string, right: string) => number | undefined;

/**
 * Makes a function that splits a word into tokens by merging characters, best
 * rank first and leftmost first among equals.
 *
 * The class would keep its own table of all merges under the JSON of each pair;
 * making that takes longer than reading the file. It is given an empty one, and
 * a stand-in for its lookup.
 */
export function createMerger(rankOf: RankOf): (word: string) => string[] {
  const bpe = new BPE({
    type: "BPE",
    vocab: {},
    merges: [],
    ignore_merges: false,
  });
  bpe.bpe_ranks = new LazyRanks(rankOf);
  return (word) => bpe.bpe(word);
}

/** A map that answers `get('["left","right"]')` and nothing else. */
class LazyRanks extends Map<string, number> {
  readonly #rankOf: RankOf;

  constructor(rankOf: RankOf) {
    super();
    this.#rankOf = rankOf;
  }

  override get(key: string): number | undefined {
    // Without an escape there is no quote within, so this is where they meet; where
    // the left one is a comma, the same three characters stand around it as well.
    const middle = key.indexOf('","', 3);
    if (!key.includes("\\")) {
      return this.#rankOf(key.slice(2, middle), key.slice(middle + 3, -2));
    }
    const [left, right] = JSON.parse(key) as [string, string];
    return this.#rankOf(left, right);
  }
}
