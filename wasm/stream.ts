/**
 * The ring through which blocks that are not in the shared memory are read while a
 * step runs; assembly/stream.ts draws it. The caller fills it: the blocks may be
 * anywhere that it can reach.
 *
 * @module
 */
import type { BoundGroup, StreamBatch } from "../core/backend.ts";
import type { ModelSpec } from "../core/model.ts";
import type { WasmMemory } from "./memory.ts";
import { type Extent, type Space, SPLIT, SPREAD_ROWS } from "./space.ts";

/** Slots, fewer where memory is short. */
const MOST_SLOTS = 4, LEAST_SLOTS = 2;
/** Most splits in a segment. */
const MOST_SPLITS = 8;
/** The ring takes at most this part of the memory that is left. */
const PART = 4;
/** Bytes of a Stream in memory. */
const STREAM_BYTES = 64;

/** Words of the ring. */
const SEGMENTS = 0, CONSUMED = 1, READY = 4;

/** A ring, and who reads through it. */
export interface Ring {
  readonly splits: number;
  /** Address of a Stream for each layer of the model; 0 where it has none. */
  readonly layers: readonly number[];
  /** Layers that read through it, in the order of the program. */
  readonly readers: readonly {
    readonly group: number;
    readonly layer: number;
  }[];
  readonly words: Int32Array;
  readonly slots: readonly Uint8Array[];
}

/** What a ring is made of. */
export interface RingParts {
  readonly spec: ModelSpec;
  readonly memory: WasmMemory;
  readonly space: Space;
  readonly extent: Extent;
}

/** Bytes of one layer's part of a block, as it is read. */
export function layerBytes(
  { shape, fused }: BoundGroup,
  blockBytes: number,
): number {
  return (fused?.bytes(shape) ?? blockBytes) / shape.layers;
}

/**
 * Takes a ring for the layers that see everything. Undefined where there are none, or
 * too little memory. `blockBytes`: of an open block.
 */
export function placeRing(
  { spec, memory, space, extent }: RingParts,
  groups: readonly BoundGroup[],
  blockBytes: (group: BoundGroup) => number,
): Ring | undefined {
  const full = groups.filter((g) => g.sight?.full);
  const split = Math.max(
    0,
    ...full.map((g) => layerBytes(g, blockBytes(g)) * SPLIT / g.shape.tokens),
  );
  if (split === 0) return undefined;
  let dims = 0;
  for (const { headDim, qHeads } of spec.layers) {
    dims = Math.max(dims, (headDim + 4) * qHeads);
  }
  const state = extent.rows > SPREAD_ROWS ? extent.rows * dims * 4 : 0;
  const { capacity, used } = memory.stat();
  const room = (capacity - used) / PART;
  // Large segments first: workers meet after each, and share it out by heads and splits.
  let splits = MOST_SPLITS;
  const fits = (room: number): boolean =>
    LEAST_SLOTS * splits * split + state <= room;
  while (splits > 1 && !fits(room)) splits >>= 1;
  if (!fits(room * PART / 2)) return undefined;
  const depth = Math.max(
    LEAST_SLOTS,
    Math.min(MOST_SLOTS, Math.floor((room - state) / (splits * split))),
  );

  const slotBytes = Math.ceil(splits * split / 64) * 64;
  const take = (bytes: number): number =>
    space.take("workspace", "ring of blocks", bytes);
  const words = take(64), slots = take(depth * slotBytes);
  const sums = state === 0 ? 0 : take(state);
  const streams = take(spec.layers.length * STREAM_BYTES);
  const readers: { group: number; layer: number }[] = [];
  const layers = spec.layers.map((_, index) => {
    const group = groups.findIndex((g) => g.layers.includes(index));
    if (!groups[group]!.sight?.full) return 0;
    const at = streams + index * STREAM_BYTES;
    memory.i32(at, 9).set([
      words + SEGMENTS * 4,
      words + READY * 4,
      words + CONSUMED * 4,
      slots,
      slotBytes,
      depth,
      splits,
      readers.length,
      sums,
    ]);
    readers.push({ group, layer: groups[group]!.layers.indexOf(index) });
    return at;
  });
  return {
    splits,
    layers,
    readers,
    words: memory.i32(words, 16).fill(0),
    slots: Array.from(
      { length: depth },
      (_, i) =>
        new Uint8Array(memory.memory.buffer, slots + i * slotBytes, slotBytes),
    ),
  };
}

/** Fills a ring while a step empties it. */
export class BlockStream {
  readonly batch: StreamBatch;
  readonly #ring: Ring;
  #closed = false;
  /** The step is over. */
  #over = true;

  constructor(ring: Ring) {
    this.#ring = ring;
    this.batch = {
      segmentTokens: ring.splits * SPLIT,
      segments: 0,
      feed: undefined,
    };
  }

  /** Makes the ring ready for a step; to be called before it starts. */
  prepare(): void {
    const { words } = this.#ring;
    for (let i = 0; i < words.length; i++) Atomics.store(words, i, 0);
    Atomics.store(words, SEGMENTS, this.batch.segments);
    this.#over = false;
  }

  /**
   * Feeds all segments of the step that runs, and rejects with what the first of them
   * threw, once nothing is being written any more. The step always gets to its end.
   */
  async run(): Promise<void> {
    const { words, slots, readers } = this.#ring;
    const { segments, feed } = this.batch, depth = slots.length;
    const total = segments * readers.length;
    let failure: { readonly error: unknown } | undefined;
    const fail = (error: unknown): void => void (failure ??= { error });
    const writing: Promise<void>[] = [];
    const ready = (n: number): void => {
      Atomics.store(words, READY + n % depth, n + 1);
      Atomics.notify(words, READY + n % depth);
    };
    for (let n = 0; n < total; n++) {
      for (;;) {
        const done = Atomics.load(words, CONSUMED);
        if (this.#over || n < done + depth) break;
        const turn = Atomics.waitAsync(words, CONSUMED, done);
        if (turn.async) await turn.value;
      }
      const slot = slots[n % depth]!;
      const { group, layer } = readers[Math.floor(n / segments)]!;
      try {
        // Once something is missing the rest means nothing.
        const fed = failure === undefined && !this.#closed && !this.#over
          ? feed?.(group, layer, n % segments, slot)
          : undefined;
        if (fed instanceof Promise) {
          writing[n % depth] = fed.catch(fail).then(() => ready(n));
          continue;
        }
      } catch (error) {
        fail(error);
      }
      ready(n);
    }
    await Promise.all(writing);
    if (failure !== undefined) throw failure.error;
  }

  /** The step is over: what it did not wait for is not needed. */
  end(): void {
    this.#over = true;
    Atomics.notify(this.#ring.words, CONSUMED);
  }

  /** A step that runs gets to its end, whatever it computes. */
  close(): void {
    this.#closed = true;
  }
}
