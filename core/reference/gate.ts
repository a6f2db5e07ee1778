/**
 * The gate of the feed-forward part.
 *
 * @module
 */

const GELU_SLOPE = Math.sqrt(2 / Math.PI);

/** x / (1 + e^-x). */
export function silu(x: number): number {
  return x / (1 + Math.exp(-x));
}

/** The tanh form: x/2 * (1 + tanh(√(2/π) * (x + 0.044715 x³))). */
export function gelu(x: number): number {
  return 0.5 * x * (1 + Math.tanh(GELU_SLOPE * (x + 0.044715 * x ** 3)));
}

/** Writes `activation(gates[i]) * up[i]` to `gates`. */
export function gate(
  gates: Float32Array,
  up: Float32Array,
  activation: "silu" | "gelu",
): void {
  const f = activation === "silu" ? silu : gelu;
  for (let i = 0; i < gates.length; i++) gates[i] = f(gates[i]!) * up[i]!;
}
