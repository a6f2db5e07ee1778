/**
 * A part of an allocator's space, in bytes rather than in offsets.
 *
 * @module
 */
import type { Allocator, AllocStat, Span } from "./allocator.ts";

/** Passes on to another allocator, up to a limit. */
export class Quota implements Allocator {
  readonly limit: number;
  readonly #from: Allocator;
  #held = 0;

  /** Allows `limit` bytes of `from` at any one time. */
  constructor(from: Allocator, limit: number) {
    this.#from = from;
    this.limit = limit;
  }

  /** Bytes out now. */
  get held(): number {
    return this.#held;
  }

  alloc(bytes: number): Span | undefined {
    if (this.#held + bytes > this.limit) return undefined;
    const span = this.#from.alloc(bytes);
    if (span !== undefined) this.#held += bytes;
    return span;
  }

  free(span: Span): void {
    this.#from.free(span);
    this.#held -= span.bytes;
  }

  slide(span: Span): Span {
    return this.#from.slide?.(span) ?? span;
  }

  stat(): AllocStat {
    const left = this.limit - this.#held;
    return {
      capacity: this.limit,
      used: this.#held,
      requested: this.#held,
      largestFree: Math.min(left, this.#from.stat().largestFree),
    };
  }

  check(): void {
    if (this.#held < 0 || this.#held > this.limit) {
      throw new Error(
        `Quota check: ${this.#held} bytes are out, ${this.limit} are allowed`,
      );
    }
    this.#from.check();
  }
}
