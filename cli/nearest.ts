/**
 * What someone who mistyped a word may have meant.
 *
 * @module
 */

/** `did you mean "x"?` where a word is near, else all of them. */
export function didYouMean(word: string, words: readonly string[]): string {
  const near = nearest(word, words);
  return near === undefined
    ? `what works: ${words.join(", ")}`
    : `did you mean "${near}"?`;
}

/** The word with the fewest changes to `word`, if they are a third of it at most, rounded up. */
export function nearest(
  word: string,
  words: readonly string[],
): string | undefined {
  let best: string | undefined, least = Math.ceil(word.length / 3);
  for (const other of words) {
    const changes = distance(word, other);
    if (changes <= least && (best === undefined || changes < least)) {
      best = other;
      least = changes;
    }
  }
  return best;
}

/** Insertions, removals and replacements that turn one into the other. */
function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(
        row[j]! + 1,
        next[j - 1]! + 1,
        row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1),
      ));
    }
    row = next;
  }
  return row[b.length]!;
}
