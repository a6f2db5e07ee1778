/**
 * The first operation: token ids to hidden rows.
 *
 * @module
 */

/**
 * Writes row `tokens[i]` of `table`, times `scale`, to row i of `out`.
 *
 * `table` is vocabulary × `hidden`, `out` is tokens × `hidden`, both row by
 * row. Throws a RangeError on an id outside the table.
 */
export function embed(
  table: Float32Array,
  hidden: number,
  tokens: Int32Array,
  scale: number,
  out: Float32Array,
): void {
  const vocab = table.length / hidden;
  for (let row = 0; row < tokens.length; row++) {
    const token = tokens[row]!;
    if (token < 0 || token >= vocab) {
      throw new RangeError(
        `Cannot embed token ${token}: ids go from 0 to ${vocab - 1}`,
      );
    }
    const from = token * hidden;
    const to = row * hidden;
    for (let i = 0; i < hidden; i++) out[to + i] = table[from + i]! * scale;
  }
}
