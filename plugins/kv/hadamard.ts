/**
 * Hadamard rotation of heads: spreads what stands out in one dimension over all,
 * so that one scale serves a row better. Products of two rotated rows are those of
 * the rows.
 *
 * The matrix is Sylvester's, over the square root of its size: symmetric, and its
 * own inverse. A head whose size is no power of two is rotated in runs of the
 * largest one that divides it.
 *
 * @module
 */
import type { KvPart } from "./part.ts";

/** Largest power of two that divides `headDim`. */
export function runOf(headDim: number): number {
  return headDim & -headDim;
}

/** Rotates `headDim` values from `at` on, in place: sums and products in f32. */
export function rotate(x: Float32Array, at: number, headDim: number): void {
  const n = runOf(headDim), end = at + headDim;
  for (let from = at; from < end; from += n) {
    for (let half = 1; half < n; half *= 2) {
      for (let p = from; p < from + n; p += half * 2) {
        for (let i = p; i < p + half; i++) {
          const a = x[i]!, b = x[i + half]!;
          x[i] = a + b;
          x[i + half] = a - b;
        }
      }
    }
  }
  const k = Math.fround(1 / Math.fround(Math.sqrt(n)));
  for (let i = at; i < end; i++) x[i]! *= k;
}

/** A format of rotated rows; its id ends in "h". */
export function rotated(inner: KvPart): KvPart {
  let turned = new Float32Array(0);
  return {
    ...inner,
    id: `${inner.id}h`,
    seal(x, tokens, headDim, out) {
      if (turned.length !== x.length) turned = new Float32Array(x.length);
      turned.set(x);
      rotateRows(turned, tokens, headDim);
      inner.seal(turned, tokens, headDim, out);
    },
    open(sealed, tokens, headDim, x) {
      inner.open(sealed, tokens, headDim, x);
      rotateRows(x, tokens, headDim);
    },
  };
}

function rotateRows(x: Float32Array, tokens: number, headDim: number): void {
  for (let p = 0; p < tokens; p++) rotate(x, p * headDim, headDim);
}
