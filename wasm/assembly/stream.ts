// Blocks that are not in this memory: one layer's part of them comes to a ring of
// slots, segment by segment, while the step runs.
//
// A segment is a run of splits. Its blocks' parts stand in a slot as tables say: an
// entry with its lowest bit set is an offset in the slot (plus 1), any other the
// block's address. Segment k of the n-th layer that reads so is the one numbered
// n × segments + k; it comes to the slot of that number modulo the ring's depth.
//
// ```text
//   caller    fill slot ─▶ ready[slot] = number + 1 ──▶ … until consumed allows the next
//   workers   wait for it ─▶ attend over the segment ─▶ barrier ─▶ consumed = number + 1
// ```
import { waitFor } from "./barrier";

@unmanaged
export class Stream {
  /** Address of: segments of this step, 0 for none. */
  segments: usize;
  /** Address of a word for each slot. */
  ready: usize;
  /** Address of: segments that are done with. */
  consumed: usize;
  slots: usize;
  slotBytes: usize;
  depth: i32;
  /** Splits in a segment. */
  splits: i32;
  /** Which of the layers that read so this is. */
  ordinal: i32;
  /** Sums so far, where a step's splits are not spread: [row][head]{ m, l, -, -, o [D] }. */
  state: usize;
}

/** Waits for a segment; returns where its slot is. */
export function slotOf(s: Stream, segments: i32, segment: i32): usize {
  const n = s.ordinal * segments + segment, slot = n % s.depth;
  waitFor(s.ready + (<usize> slot << 2), n + 1);
  return s.slots + <usize> slot * s.slotBytes;
}

/** Every worker is through with a segment. */
export function release(s: Stream, segments: i32, segment: i32): void {
  atomic.store<i32>(s.consumed, s.ordinal * segments + segment + 1);
  atomic.notify(s.consumed, 1);
}
