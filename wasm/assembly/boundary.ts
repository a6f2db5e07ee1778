// Steps that run a part of the layers: leaps over records, and rows of the residual
// stream that are written down, or given, between two layers.

/** Goes on at the address that a word holds, unless that is 0. */
@unmanaged
export class Leap {
  kind: i32;
  flags: i32;
  word: usize;
}

/**
 * Stands between two layers, behind a barrier. Each worker copies the rows that the
 * next norm gives to it, so nobody has to wait here.
 */
@unmanaged
export class Boundary {
  kind: i32;
  flags: i32;
  /** Address of what to do: 0 nothing, KEEP or INJECT. */
  word: usize;
  /** The residual stream, and its rows as they are at this boundary: f32. */
  x: usize;
  kept: usize;
  /** Bytes of a row in both. */
  stride: usize;
  rows: usize;
}

// @ts-ignore: decorator
@inline const KEEP = 1;
// @ts-ignore: decorator
@inline const INJECT = 2;

export function boundaryRows(a: Boundary, thread: i32, threads: i32): void {
  const action = load<i32>(a.word);
  if (action == 0) return;
  const n = load<i32>(a.rows);
  const from = <usize> (n * thread / threads) * a.stride;
  const bytes = <usize> (n * (thread + 1) / threads) * a.stride - from;
  const x = a.x + from, kept = a.kept + from;
  if (action == KEEP) memory.copy(kept, x, bytes);
  else if (action == INJECT) memory.copy(x, kept, bytes);
}
