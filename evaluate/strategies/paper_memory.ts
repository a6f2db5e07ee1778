/**
 * Memory without bytes: books of a device as large as one likes, for
 * simulations in which nothing is computed.
 *
 * @module
 */
import type { AllocStat, Span } from "../../core/allocator.ts";
import type { DeviceMemory } from "../../core/backend.ts";
import { type Heap, heap } from "../../core/heap.ts";

/** As the CPU backend aligns spans. */
const ALIGN = 64;

/** The heap of a device, and nothing under it. */
export class PaperMemory implements DeviceMemory {
  readonly align = ALIGN;
  readonly maxSpan: number;
  readonly #heap: Heap;

  /** Room for `capacity` bytes to hand out. */
  constructor(capacity: number) {
    this.maxSpan = capacity;
    this.#heap = heap(capacity + ALIGN, ALIGN);
  }

  alloc(bytes: number): Span | undefined {
    return this.#heap.alloc(bytes);
  }

  free(span: Span): void {
    this.#heap.free(span);
  }

  stat(): AllocStat {
    return this.#heap.stat();
  }

  check(): void {
    this.#heap.check();
  }

  /** How many spans of `bytes` could be taken now, one after another. */
  room(bytes: number): number {
    const spans: Span[] = [];
    for (let span = this.alloc(bytes); span; span = this.alloc(bytes)) {
      spans.push(span);
    }
    for (const span of spans) this.free(span);
    return spans.length;
  }

  write(_span: Span, _bytes: Uint8Array): void {}

  read(_span: Span, out: Uint8Array): void {
    out.fill(0);
  }

  copy(_from: Span, _to: Span): void {}
}
