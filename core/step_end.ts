/**
 * How far the rows of a sequence may go in one step.
 *
 * @module
 */

/**
 * The first position from `at` on, behind it, where a block of one of these sizes
 * ends; Infinity for none.
 */
export function stepEnd(at: number, stepTokens: readonly number[]): number {
  let end = Infinity;
  for (let i = 0; i < stepTokens.length; i++) {
    const tokens = stepTokens[i]!;
    end = Math.min(end, (Math.floor(at / tokens) + 1) * tokens);
  }
  return end;
}
