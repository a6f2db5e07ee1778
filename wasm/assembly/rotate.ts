// Hadamard rotation of heads: spreads what stands out in one dimension over all.
//
// The matrix is symmetric and its own inverse, so turning back is turning again. A
// head whose size is no power of two is turned in runs of the largest one that
// divides it.

/** Largest power of two that divides `dim`. */
export function runOf(dim: i32): i32 {
  return dim & -dim;
}

/** Rotates `dim` dimensions that lie `line` (16 or 32) bytes apart, all lanes alike. */
export function rotateQuads(x: usize, dim: i32, line: usize): void {
  const n = <usize> runOf(dim) * line, end = x + <usize> dim * line;
  for (let from = x; from < end; from += n) {
    for (let half = line; half < n; half <<= 1) {
      for (let p = from; p < from + n; p += half << 1) {
        for (let i = p; i < p + half; i += 16) {
          const a = v128.load(i), b = v128.load(i + half);
          v128.store(i, f32x4.add(a, b));
          v128.store(i + half, f32x4.sub(a, b));
        }
      }
    }
  }
  const k = f32x4.splat(<f32> 1 / sqrt<f32>(<f32> runOf(dim)));
  for (let p = x; p < end; p += 16) v128.store(p, f32x4.mul(v128.load(p), k));
}

/** Rotates one head, its dimensions side by side. */
export function rotateRow(x: usize, dim: i32): void {
  const n = <usize> runOf(dim) << 2, end = x + (<usize> dim << 2);
  const k: f32 = <f32> 1 / sqrt<f32>(<f32> runOf(dim));
  for (let from = x; from < end; from += n) {
    for (let half: usize = 4; half < n; half <<= 1) {
      for (let p = from; p < from + n; p += half << 1) {
        for (let i = p; i < p + half; i += 4) {
          const a = load<f32>(i), b = load<f32>(i + half);
          store<f32>(i, a + b);
          store<f32>(i + half, a - b);
        }
      }
    }
  }
  for (let p = x; p < end; p += 4) store<f32>(p, load<f32>(p) * k);
}
