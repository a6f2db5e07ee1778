/**
 * What blocks hold, as numbers: for codecs that no kernel of the backend reads.
 *
 * @module
 */
import type { DeviceMemory, OpenBlocks } from "./backend.ts";
import type { BlockPlaces } from "./block_places.ts";
import { rawFloats } from "./defaults.ts";
import type { GroupPlan } from "./plan.ts";

/** Reads and writes blocks in the order of `rawFloats()`. */
export class BlockValues {
  readonly #groups: readonly GroupPlan[];
  readonly #memory: DeviceMemory;
  readonly #places: BlockPlaces;
  readonly #open: OpenBlocks | undefined;
  /** Room for a block's values and codes, by group, once it is needed. */
  readonly #rooms: (Room | undefined)[] = [];

  /** Without `open` only sealed places are read and written. */
  constructor(
    groups: readonly GroupPlan[],
    memory: DeviceMemory,
    places: BlockPlaces,
    open: OpenBlocks | undefined,
  ) {
    this.#groups = groups;
    this.#memory = memory;
    this.#places = places;
    this.#open = open;
  }

  /** Whether open places can be read. */
  get opens(): boolean {
    return this.#open !== undefined;
  }

  /** Puts what the group's codec gives back in place of an open block's values. */
  round(id: number, group: number): void {
    const { shape, codec } = this.#groups[group]!;
    const { raw, codes } = this.#room(group);
    this.read(id, group, raw);
    codec.seal(shape, raw, codes);
    codec.open(shape, codes, raw);
    this.write(id, group, raw);
  }

  /** The values of a block, of its open place where it has one. False: not now. */
  read(id: number, group: number, out: Float32Array): boolean {
    const { shape, fused, slab } = this.#groups[group]!;
    const offset = this.#places.openAt(id);
    if (offset !== 0) {
      this.#open!.read(offset, shape, out, slab);
      return true;
    }
    const { codes } = this.#room(group);
    const { offset: at } = this.#places.sealedSpan(id, group);
    const span = { offset: at, bytes: codes.length };
    if (this.#memory.read(span, codes) instanceof Promise) return false;
    fused!.open(shape, codes, out);
    return true;
  }

  /** Writes them where the block is. */
  write(id: number, group: number, values: Float32Array): void {
    const { shape, fused, slab } = this.#groups[group]!;
    const offset = this.#places.openAt(id);
    if (offset !== 0) {
      this.#open!.write(offset, shape, values, slab);
      return;
    }
    const { codes } = this.#room(group);
    const { offset: at } = this.#places.sealedSpan(id, group);
    fused!.seal(shape, values, codes);
    this.#memory.write({ offset: at, bytes: codes.length }, codes);
  }

  /** Values of a block, until the next call for its group. */
  scratch(group: number): Float32Array {
    return this.#room(group).raw;
  }

  #room(group: number): Room {
    const { shape, codec } = this.#groups[group]!;
    return this.#rooms[group] ??= {
      raw: new Float32Array(rawFloats(shape)),
      codes: new Uint8Array(codec.bytes(shape)),
    };
  }
}

interface Room {
  readonly raw: Float32Array;
  readonly codes: Uint8Array;
}
