/**
 * Rows times a weight matrix.
 *
 * @module
 */

/**
 * Writes `out[r][o] = Σ_i x[r][i] * weights[o][i]`.
 *
 * `x` is rows × `inputs`, `weights` is outputs × `inputs` as a file stores it,
 * `out` is rows × outputs, each row by row. Every sum runs over i in ascending
 * order in double precision and is rounded to single once, so an output's bits
 * depend on nothing but its own row and weights.
 *
 * Four outputs at a time: their weight rows stay in the nearest cache for all
 * rows of `x`, and four independent sums keep the adders busy.
 */
export function matmul(
  x: Float32Array,
  weights: Float32Array,
  inputs: number,
  out: Float32Array,
): void {
  const rows = x.length / inputs;
  const outputs = weights.length / inputs;
  if (rows % 1 !== 0 || outputs % 1 !== 0 || out.length < rows * outputs) {
    throw new RangeError(
      `Cannot multiply ${x.length} by ${weights.length} values of ${inputs} inputs into ${out.length}: pass whole rows and room for ${
        rows * outputs
      }`,
    );
  }
  const whole = outputs - outputs % 4;
  for (let o = 0; o < whole; o += 4) {
    const w0 = o * inputs;
    const w1 = w0 + inputs;
    const w2 = w1 + inputs;
    const w3 = w2 + inputs;
    for (let row = 0; row < rows; row++) {
      const from = row * inputs;
      let s0 = 0;
      let s1 = 0;
      let s2 = 0;
      let s3 = 0;
      for (let i = 0; i < inputs; i++) {
        const value = x[from + i]!;
        s0 += value * weights[w0 + i]!;
        s1 += value * weights[w1 + i]!;
        s2 += value * weights[w2 + i]!;
        s3 += value * weights[w3 + i]!;
      }
      const to = row * outputs + o;
      out[to] = s0;
      out[to + 1] = s1;
      out[to + 2] = s2;
      out[to + 3] = s3;
    }
  }
  for (let o = whole; o < outputs; o++) {
    const w = o * inputs;
    for (let row = 0; row < rows; row++) {
      const from = row * inputs;
      let sum = 0;
      for (let i = 0; i < inputs; i++) sum += x[from + i]! * weights[w + i]!;
      out[row * outputs + o] = sum;
    }
  }
}
