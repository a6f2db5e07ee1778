/**
 * Device memory that is one array buffer of this process.
 *
 * @module
 */
import type { AllocStat, Span } from "../allocator.ts";
import type { DeviceMemory } from "../backend.ts";
import { type Heap, heap } from "../heap.ts";

/**
 * A heap and the bytes it keeps the books of. Offset 0 is never handed out: in
 * a block table 0 means "released".
 */
export class HostMemory implements DeviceMemory {
  readonly align: number;
  readonly maxSpan: number;
  readonly buffer: ArrayBuffer;
  readonly #heap: Heap;

  /** `capacity` in bytes; spans stand at multiples of `align`. */
  constructor(capacity: number, align: number) {
    this.#heap = heap(capacity, align);
    this.align = align;
    this.maxSpan = this.#heap.stat().capacity;
    this.buffer = new ArrayBuffer(capacity);
  }

  alloc(bytes: number): Span | undefined {
    return this.#heap.alloc(bytes);
  }

  free(span: Span): void {
    this.#heap.free(span);
  }

  slide(span: Span): Span {
    const to = this.#heap.slide(span);
    const from = span.offset;
    new Uint8Array(this.buffer).copyWithin(to.offset, from, from + span.bytes);
    return to;
  }

  stat(): AllocStat {
    return this.#heap.stat();
  }

  check(): void {
    this.#heap.check();
  }

  write(span: Span, bytes: Uint8Array): void {
    this.#bytes(span, bytes.length).set(bytes);
  }

  read(span: Span, out: Uint8Array): void {
    out.set(this.#bytes(span, out.length));
  }

  copy(from: Span, to: Span): void {
    this.#bytes(to, from.bytes).set(this.#bytes(from, from.bytes));
  }

  /** The first `bytes` of `span`; a RangeError where it has fewer. */
  #bytes(span: Span, bytes: number): Uint8Array {
    if (bytes > span.bytes) {
      throw new RangeError(
        `Cannot use ${bytes} bytes of a span of ${span.bytes}: pass a span as long`,
      );
    }
    return new Uint8Array(this.buffer, span.offset, bytes);
  }
}
