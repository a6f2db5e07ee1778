/**
 * The blocks of one layer group, as the drivers of backends keep them.
 *
 * @module
 */
import type { Span } from "../allocator.ts";
import type { Backend, BoundGroup } from "../backend.ts";
import { rawFloats } from "../defaults.ts";
import type { Codec } from "../slots.ts";
import { stepEnd } from "../step_end.ts";

/** Blocks of one sequence, as the batch has them. */
export interface DriveTables {
  readonly open: Uint32Array;
  readonly sealed: Uint32Array;
}

/** See `DriveBlocks`. */
export type Blocks = Pick<
  DriveBlocks,
  "rounds" | "place" | "commit" | "clear"
>;

/** Takes places before a step and does after it what a cache does at a commit. */
export class DriveBlocks {
  /** Whether full blocks are decoded in place. */
  readonly rounds: boolean;
  readonly #backend: Backend;
  readonly #group: BoundGroup;
  readonly #codec: Codec | undefined;
  readonly #keepFirst: number;
  readonly #spans: Span[] = [];
  #free: number[] = [];

  /** Throws a TypeError where the backend cannot apply the codec. */
  constructor(backend: Backend, group: BoundGroup, codec: Codec | undefined) {
    this.#backend = backend;
    this.#group = group;
    this.#codec = group.fused ?? codec;
    this.#keepFirst = this.#codec?.keepFirst ?? 0;
    this.rounds = group.fused === undefined && (codec?.lossy ?? false);
    if (this.rounds && backend.openBlocks === undefined) {
      throw new TypeError(
        `Cannot drive codec "${
          codec!.id
        }": no kernel of backend "${backend.id}" reads it, and its blocks cannot be read as values`,
      );
    }
  }

  /** Places for positions `from` to `end`; returns how many blocks are sealed. */
  place({ open, sealed }: DriveTables, from: number, end: number): number {
    const { fused, shape: { tokens } } = this.#group;
    if (this.rounds && end > stepEnd(from, [tokens])) {
      throw new RangeError(
        `Cannot step from position ${from} to ${end}: the codec wants it to end at ${
          stepEnd(from, [tokens])
        }`,
      );
    }
    for (let b = Math.floor(from / tokens); b * tokens < end; b++) {
      if (open[b] === 0) open[b] = this.#take();
    }
    if (fused === undefined) return 0;
    let seals = 0;
    for (const b of this.#filled(from, end)) {
      sealed[b] = this.#span(fused.bytes(this.#group.shape)).offset;
      seals++;
    }
    return seals;
  }

  /** After the step: what it filled is there in its final form only. */
  commit({ open }: DriveTables, from: number, end: number): void {
    const { fused, shape, slab } = this.#group, { openBlocks } = this.#backend;
    const codec = this.#codec;
    for (const b of this.#filled(from, end)) {
      const at = open[b]!;
      if (fused !== undefined) {
        open[b] = 0;
        this.#spoil(at);
        this.#free.push(at);
      } else if (this.rounds) {
        const raw = new Float32Array(rawFloats(shape));
        const codes = new Uint8Array(codec!.bytes(shape));
        openBlocks!.read(at, shape, raw, slab);
        codec!.seal(shape, raw, codes);
        codec!.open(shape, codes, raw);
        openBlocks!.write(at, shape, raw, slab);
      }
    }
  }

  /** Gives everything back. */
  clear(): void {
    for (const span of this.#spans.splice(0)) this.#backend.memory.free(span);
    this.#free = [];
  }

  *#filled(from: number, end: number): Iterable<number> {
    const { tokens } = this.#group.shape;
    const first = Math.max(this.#keepFirst, Math.floor(from / tokens));
    for (let b = first; b < Math.floor(end / tokens); b++) yield b;
  }

  /** A block's offset, from a new slab where none is free. */
  #take(): number {
    if (this.#free.length === 0) {
      const { blocks, parts } = this.#group.slab ?? { blocks: 1, parts: 1 };
      const block = this.#backend.blockBytes(this.#group.shape);
      const { offset } = this.#span(block * blocks);
      for (let i = 0; i < blocks; i++) {
        this.#free.push(offset + i * block / parts);
      }
    }
    return this.#free.shift()!;
  }

  /** A slab of its own: the one place of it that there is. */
  #spoil(offset: number): void {
    const bytes = this.#backend.blockBytes(this.#group.shape);
    const nothing = new Uint8Array(bytes).fill(0xff);
    this.#backend.memory.write({ offset, bytes }, nothing);
  }

  #span(bytes: number): Span {
    const { memory } = this.#backend;
    const span = memory.alloc(bytes);
    if (span === undefined) {
      throw new RangeError(
        `Cannot take ${bytes} bytes for blocks: ${memory.stat().largestFree} are free in one run; raise the backend's bytes`,
      );
    }
    // All ones is NaN in every float format: what a block held before shows.
    memory.write(span, new Uint8Array(span.bytes).fill(0xff));
    this.#spans.push(span);
    return span;
  }
}
