/**
 * The largest logits of a row.
 *
 * @module
 */

/**
 * Writes the ids and values of the `ids.length` largest `logits`, best first,
 * equal ones by lower id; one id is the arg max. NaN is less than anything.
 * Throws a RangeError where more are asked for than there are.
 */
export function topK(
  logits: Float32Array,
  ids: Int32Array,
  values: Float32Array,
): void {
  const k = ids.length;
  if (k > logits.length || values.length < k) {
    throw new RangeError(
      `Cannot find ${k} largest of ${logits.length} logits with room for ${values.length} values: ask for fewer`,
    );
  }
  let found = 0;
  for (let id = 0; id < logits.length; id++) {
    const logit = logits[id]!;
    if (found === k && !before(logit, values[k - 1]!)) continue;
    if (found < k) found++;
    // Shift what is worse down by one; a later equal value stays behind.
    let at = found - 1;
    for (; at > 0 && before(logit, values[at - 1]!); at--) {
      values[at] = values[at - 1]!;
      ids[at] = ids[at - 1]!;
    }
    values[at] = logit;
    ids[at] = id;
  }
}

function before(a: number, b: number): boolean {
  return a > b || (Number.isNaN(b) && !Number.isNaN(a));
}
