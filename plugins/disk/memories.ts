/**
 * Shared memory that a worker knows by number. Telling it of one takes longer than
 * reading a block, so it is told once, while the memory is in use.
 *
 * @module
 */

/** How many a worker knows of. */
const MOST = 64;

/** What a worker is to be told with a request. */
export interface Shared {
  /** Memory it does not know, with the numbers it has from now on. */
  readonly fresh: { readonly id: number; readonly memory: SharedArrayBuffer }[];
  /** Numbers that mean nothing once the request is done. */
  readonly stale: number[];
}

/** The numbers of one worker's memory. */
export class Memories {
  readonly #ids = new Map<SharedArrayBuffer, number>();
  #next = 0;

  /** The number of a memory; adds to `shared` what the worker has to be told. */
  id(memory: SharedArrayBuffer, shared: Shared): number {
    const known = this.#ids.get(memory);
    const id = known ?? ++this.#next;
    if (known === undefined) shared.fresh.push({ id, memory });
    else this.#ids.delete(memory);
    // The last used is the last to go.
    this.#ids.set(memory, id);
    if (this.#ids.size > MOST) {
      const [oldest, stale] = this.#ids.entries().next().value!;
      this.#ids.delete(oldest);
      shared.stale.push(stale);
    }
    return id;
  }
}
