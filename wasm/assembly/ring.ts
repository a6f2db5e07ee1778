// Layers whose weights come and go: waiting for one, and giving its slot back.
//
// Words of the ring, which feeders and workers share, are drawn in ../ring.ts.

/** Looks at a layer that is not in before a worker sleeps. */
// @ts-ignore: decorator
@inline const SPINS = 100;

/** Longest sleep, nanoseconds. */
// @ts-ignore: decorator
@inline const SLEEP: i64 = 100000000;

/** Stands before a streamed layer. */
@unmanaged
export class Wait {
  kind: i32;
  flags: i32;
  /** Where the slot says which fill it holds, and which one is wanted. */
  ready: usize;
  fill: i32;
  bell: usize;
  failed: usize;
}

/** Stands after its last barrier. */
@unmanaged
export class Release {
  kind: i32;
  flags: i32;
  /** The layer's Wait, and its records: [from, to). */
  wait: usize;
  from: usize;
  to: usize;
  /** The ring's slots, and how far on in it the layer lies in the next pass. */
  ring: usize;
  end: usize;
  shift: usize;
  /** The same of what slots say. */
  says: usize;
  saysEnd: usize;
  saysShift: usize;
  /** Fills in a pass. */
  fills: i32;
  released: usize;
  bell: usize;
}

/**
 * Whether the layer is in. False where it never will be; all workers are told the
 * same, as nothing comes in after `failed` is set.
 */
export function waitLayer(a: Wait): bool {
  return awaitWord(a.ready, a.fill, a.bell, a.failed);
}

/** Waits until the word at `ready` is `value`; false where it never will be. */
export function awaitWord(
  ready: usize,
  value: i32,
  rings: usize,
  failed: usize,
): bool {
  let bell = atomic.load<i32>(rings);
  for (let spins = 0; atomic.load<i32>(ready) != value; spins++) {
    if (atomic.load<i32>(failed) != 0) return atomic.load<i32>(ready) == value;
    if (spins >= SPINS) atomic.wait<i32>(rings, bell, SLEEP);
    bell = atomic.load<i32>(rings);
  }
  return true;
}

/**
 * One worker's task, once nobody reads the layer any more: turns its records to where
 * it will lie in the next pass, and says that the slot is free.
 */
export function releaseLayer(a: Release, record: usize, product: i32): void {
  const wait = changetype<Wait>(a.wait);
  wait.fill += a.fills;
  wait.ready = turned(wait.ready, a.says, a.saysEnd, a.saysShift);
  for (let p = a.from; p < a.to; p += record) {
    // The second field of a product is its matrix.
    if (load<i32>(p) < product) continue;
    store<usize>(p, turned(load<usize>(p, 8), a.ring, a.end, a.shift), 8);
  }
  atomic.add<i32>(a.released, 1);
  atomic.add<i32>(a.bell, 1);
  atomic.notify(a.bell, -1);
}

/** On by `shift` in [from, end), which is a ring; others stay. */
function turned(at: usize, from: usize, end: usize, shift: usize): usize {
  if (at < from || at >= end) return at;
  const to = at + shift;
  return to < end ? to : to - (end - from);
}
