/**
 * The CPU backend's rank-0 memory: one shared WebAssembly memory under one heap.
 *
 * The heap spans the whole budget from the start, but pages are only taken from
 * the system when a span first reaches them.
 *
 * @module
 */
import type { AllocStat, Span } from "../core/allocator.ts";
import type { DeviceMemory } from "../core/backend.ts";
import { type Heap, heap } from "../core/heap.ts";
import { CONSTANT_BYTES, writeConstants } from "./constants.ts";

/** Bytes of a WebAssembly page. */
const PAGE = 65536;

/** Most bytes a 32-bit memory can have. */
export const MAX_BYTES = 65536 * PAGE;

/** Spans start on cache lines. */
const ALIGN = 64;

/** What a memory of `bytes` has to hand out. */
export function capacityOf(
  bytes: number,
): {
  readonly capacity: number;
  readonly maxSpan: number;
  readonly align: number;
} {
  const maxSpan = Math.min(bytes, MAX_BYTES - PAGE);
  const { capacity } = heap(maxSpan, ALIGN, { base: CONSTANT_BYTES }).stat();
  return { capacity, maxSpan, align: ALIGN };
}

/** Shared memory that workers compute in; see {@linkcode DeviceMemory}. */
export class WasmMemory implements DeviceMemory {
  readonly align = ALIGN;
  readonly maxSpan: number;
  readonly memory: WebAssembly.Memory;
  readonly #heap: Heap;
  #bytes: Uint8Array<ArrayBufferLike>;

  constructor(capacity: number) {
    const bytes = Math.min(capacity, MAX_BYTES - PAGE);
    this.maxSpan = bytes;
    this.memory = new WebAssembly.Memory({
      initial: 1,
      maximum: MAX_BYTES / PAGE,
      shared: true,
    });
    this.#heap = heap(bytes, ALIGN, { base: CONSTANT_BYTES });
    writeConstants(this.memory);
    this.#bytes = new Uint8Array(this.memory.buffer);
  }

  alloc(bytes: number): Span | undefined {
    const span = this.#heap.alloc(bytes);
    if (span === undefined) return undefined;
    const missing = span.offset + span.bytes - this.#bytes.length;
    if (missing > 0) {
      try {
        this.memory.grow(Math.ceil(missing / PAGE));
      } catch {
        this.#heap.free(span);
        return undefined;
      }
      this.#bytes = new Uint8Array(this.memory.buffer);
    }
    return span;
  }

  free(span: Span): void {
    this.#heap.free(span);
  }

  slide(span: Span): Span {
    const to = this.#heap.slide(span);
    const from = span.offset;
    this.#bytes.copyWithin(to.offset, from, from + span.bytes);
    return to;
  }

  /** The constants at its start count as used. */
  stat(): AllocStat {
    const stat = this.#heap.stat(), own = CONSTANT_BYTES;
    return {
      ...stat,
      capacity: stat.capacity + own,
      used: stat.used + own,
      requested: stat.requested + own,
    };
  }

  check(): void {
    this.#heap.check();
  }

  write(span: Span, bytes: Uint8Array): void {
    this.#bytes.set(bytes, span.offset);
  }

  read(span: Span, out: Uint8Array): void {
    out.set(this.#bytes.subarray(span.offset, span.offset + span.bytes));
  }

  copy(from: Span, to: Span): void {
    this.#bytes.copyWithin(to.offset, from.offset, from.offset + from.bytes);
  }

  /** Views on the shared buffer; they stay valid when the memory grows. */
  i32(offset: number, length: number): Int32Array {
    return new Int32Array(this.memory.buffer, offset, length);
  }
  u32(offset: number, length: number): Uint32Array {
    return new Uint32Array(this.memory.buffer, offset, length);
  }
  f32(offset: number, length: number): Float32Array {
    return new Float32Array(this.memory.buffer, offset, length);
  }
  f64(offset: number, length: number): Float64Array {
    return new Float64Array(this.memory.buffer, offset, length);
  }
}
