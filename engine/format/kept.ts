/**
 * Results that are kept for the next who asks.
 *
 * @module
 */

/** The most recent results of a function, by what they are of. */
export class Kept<T> {
  readonly #most: number;
  readonly #all = new Map<string, T>();

  /** `most`: how many. */
  constructor(most: number) {
    this.#most = most;
  }

  /** What is kept under a key, made where it is not there. */
  get(key: string, make: () => T): T {
    const value = this.#all.has(key) ? this.#all.get(key)! : make();
    // The least recently used comes first.
    this.#all.delete(key);
    this.#all.set(key, value);
    if (this.#all.size > this.#most) {
      this.#all.delete(this.#all.keys().next().value!);
    }
    return value;
  }
}
