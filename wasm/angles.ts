/**
 * Tables from which the kernels compose any position's cosines and sines.
 *
 * The angle of position p is (p - p % 64) · f + (p % 64) · f, so two short tables
 * in f64 give every angle by the addition theorems, rounded to f32 once.
 *
 * @module
 */
import type { RopeSpec } from "../core/model.ts";

/** Positions in the fine table. */
export const FINE = 64;

/** Radians per position of each pair; `factors` divide them. */
export function frequencies(
  rope: RopeSpec,
  factors: ArrayLike<number> | undefined,
): Float64Array {
  const half = rope.dims / 2;
  return Float64Array.from({ length: half }, (_, i) => {
    const f = rope.base ** (-2 * i / rope.dims) / rope.divide;
    return factors === undefined ? f : f / factors[i]!;
  });
}

/** Fills `table`, [row][pair]{ cos, sin }, for positions 0, step, 2·step … */
export function fillAngles(
  table: Float64Array,
  frequency: Float64Array,
  step: number,
): void {
  const half = frequency.length;
  for (let i = 0; i < table.length / 2; i++) {
    const angle = Math.floor(i / half) * step * frequency[i % half]!;
    table[2 * i] = Math.cos(angle);
    table[2 * i + 1] = Math.sin(angle);
  }
}
