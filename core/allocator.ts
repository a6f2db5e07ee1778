/**
 * The allocators' common contract.
 *
 * @module
 */

/** A run of bytes in one address space. */
export interface Span {
  /** Bytes from the start of the address space. */
  readonly offset: number;
  /** Length in bytes. */
  readonly bytes: number;
}

/** The books of an allocator, bytes. */
export interface AllocStat {
  /** Bytes there are to hand out. */
  readonly capacity: number;
  /** Bytes taken from the space, rounding included. */
  readonly used: number;
  /** Bytes the callers asked for. */
  readonly requested: number;
  /** Largest span that could be had now: used against this shows fragmentation. */
  readonly largestFree: number;
}

/** One contiguous byte space. No room is `undefined`, never an exception. */
export interface Allocator {
  /** Takes `bytes` (more than 0), aligned as the allocator promises. */
  alloc(bytes: number): Span | undefined;
  /** Gives a span back. Throws a TypeError on one it did not hand out. */
  free(span: Span): void;
  /**
   * Moves a span, with what is in it, down into the free space right before it:
   * where it is from now on, the same where there is none. Absent: nothing moves.
   */
  slide?(span: Span): Span;
  /** The books. */
  stat(): AllocStat;
  /** Recounts the books; throws on the first disagreement. */
  check(): void;
}
