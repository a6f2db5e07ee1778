/**
 * Seeded random numbers: the same seed gives the same text on every machine.
 *
 * @module
 */

/**
 * A generator of numbers in [0, 1); SplitMix32, period 2^32. `drawn`: how many of
 * them were drawn before.
 */
export function seeded(seed: number, drawn = 0): () => number {
  let state = ((seed >>> 0) + Math.imul(drawn, 0x9e3779b9)) >>> 0;
  return () => {
    state = (state + 0x9e3779b9) >>> 0;
    let z = state ^ (state >>> 16);
    z = Math.imul(z, 0x21f0aaad);
    z ^= z >>> 15;
    z = Math.imul(z, 0x735a2d97);
    z ^= z >>> 15;
    return (z >>> 0) / 4294967296;
  };
}

/** A seed nobody chose. */
export function randomSeed(): number {
  return crypto.getRandomValues(new Uint32Array(1))[0]!;
}
