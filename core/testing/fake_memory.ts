/**
 * Device memory for tests: a plain array of bytes.
 *
 * @module
 */
import type { AllocStat, Span } from "../allocator.ts";
import type { DeviceMemory } from "../backend.ts";
import { type Heap, heap } from "../heap.ts";

/** Memory whose bytes a test may look at. What is new, freed or left is filled with 0xAA. */
export class FakeMemory implements DeviceMemory {
  readonly align = 16;
  readonly maxSpan: number;
  readonly bytes: Uint8Array<ArrayBuffer>;
  readonly #heap: Heap;

  /** Makes `capacity` bytes, less the first 16, which are never handed out. */
  constructor(capacity: number) {
    this.bytes = new Uint8Array(capacity);
    this.maxSpan = capacity;
    this.#heap = heap(capacity, this.align);
  }

  alloc(bytes: number): Span | undefined {
    const span = this.#heap.alloc(bytes);
    if (span) this.#view(span).fill(0xAA);
    return span;
  }

  free(span: Span): void {
    this.#heap.free(span);
    this.#view(span).fill(0xAA);
  }

  slide(span: Span): Span {
    const to = this.#heap.slide(span);
    if (to.offset === span.offset) return span;
    const end = span.offset + span.bytes;
    this.bytes.copyWithin(to.offset, span.offset, end);
    this.bytes.fill(0xAA, Math.max(span.offset, to.offset + to.bytes), end);
    return to;
  }

  stat(): AllocStat {
    return this.#heap.stat();
  }

  check(): void {
    this.#heap.check();
  }

  write(span: Span, bytes: Uint8Array): void {
    this.#view(span).set(bytes);
  }

  read(span: Span, out: Uint8Array): void {
    out.set(this.#view(span));
  }

  copy(from: Span, to: Span): void {
    const overlap = from.offset < to.offset + to.bytes &&
      to.offset < from.offset + from.bytes;
    if (overlap || from.bytes !== to.bytes) {
      throw new RangeError(
        `Cannot copy ${from.bytes} bytes at ${from.offset} to ${to.bytes} at ${to.offset}`,
      );
    }
    this.#view(to).set(this.#view(from));
  }

  #view(span: Span): Uint8Array {
    return this.bytes.subarray(span.offset, span.offset + span.bytes);
  }
}
