/**
 * The spans the reference backend keeps for as long as it lives, each under an
 * owner.
 *
 * @module
 */
import type { LedgerLine, Owner } from "../ledger.ts";
import type { HostMemory } from "./memory.ts";

/** Bytes of a value; everything here is 32 bits wide. */
const WIDTH = 4;

/** Lays typed arrays into a memory and remembers whose they are. */
export class Holdings {
  readonly #memory: HostMemory;
  readonly #lines = new Map<string, LedgerLine>();

  constructor(memory: HostMemory) {
    this.#memory = memory;
  }

  /** An array of `length` floats. A RangeError where there is no room. */
  floats(owner: Owner, component: string, length: number): Float32Array {
    const offset = this.#take(owner, component, length);
    return new Float32Array(this.#memory.buffer, offset, length);
  }

  /** An array of `length` signed whole numbers. */
  ints(owner: Owner, component: string, length: number): Int32Array {
    const offset = this.#take(owner, component, length);
    return new Int32Array(this.#memory.buffer, offset, length);
  }

  /** An array of `length` unsigned whole numbers. */
  offsets(owner: Owner, component: string, length: number): Uint32Array {
    const offset = this.#take(owner, component, length);
    return new Uint32Array(this.#memory.buffer, offset, length);
  }

  /** Bytes by owner, the rounding of each span included. */
  lines(): readonly LedgerLine[] {
    return [...this.#lines.values()];
  }

  #take(owner: Owner, component: string, length: number): number {
    if (length === 0) return 0;
    const { align } = this.#memory;
    const wanted = length * WIDTH;
    const span = this.#memory.alloc(wanted);
    if (span === undefined) {
      const { capacity, largestFree } = this.#memory.stat();
      throw new RangeError(
        `Cannot hold the ${owner} of "${component}": ${wanted} bytes wanted, ${largestFree} of ${capacity} are free in one run; raise limits.bytes`,
      );
    }
    const key = `${owner}\n${component}`;
    const bytes = (this.#lines.get(key)?.bytes ?? 0) +
      Math.ceil(wanted / align) * align;
    this.#lines.set(key, {
      tier: "device",
      owner,
      component,
      bytes,
      peak: bytes,
    });
    return span.offset;
  }
}
