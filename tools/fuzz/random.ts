/**
 * Random numbers that are the same for the same seed and number of an input, so
 * that any input can be made again without those before it.
 *
 * @module
 */

/** Numbers of one stream. */
export class Random {
  #a: number;
  #b: number;
  #c: number;
  #count = 1;

  /** Streams of one seed have nothing to do with one another. */
  constructor(seed: number, stream: number) {
    this.#a = seed >>> 0;
    this.#b = stream >>> 0;
    this.#c = Math.floor(stream / 2 ** 32) >>> 0;
    for (let i = 0; i < 12; i++) this.next();
  }

  /** A u32 (sfc32). */
  next(): number {
    const out = this.#a + this.#b + this.#count++ | 0;
    this.#a = this.#b ^ this.#b >>> 9;
    this.#b = this.#c + (this.#c << 3) | 0;
    this.#c = (this.#c << 21 | this.#c >>> 11) + out | 0;
    return out >>> 0;
  }

  /** A whole number of at least 0 and below `n`; 0 where that is 0. */
  below(n: number): number {
    return Math.floor(this.next() / 2 ** 32 * n);
  }

  /** One of them; there has to be one. */
  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)]!;
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }
}
