/**
 * Constants at the start of the shared memory, where the kernels' inner loops
 * load them from; `assembly/lanes.ts` names their addresses.
 *
 * @module
 */
import { GRIDS_END, writeBooks } from "./books.ts";

/** Bytes at the start of the memory that nothing else may use. */
export const CONSTANT_BYTES = GRIDS_END;

/**
 * Coefficients of 2^r on [-1/2, 1/2], highest degree first, by Remez' exchange with
 * the last one set to 1, so that 2^0 is exact; relative error 1.5e-7.
 */
const EXP_TERMS = [
  0.0013276471979478776,
  0.00967554133421605,
  0.05550713273542586,
  0.24022119723848476,
  0.6931469670647331,
  1,
];

/** Writes the constants; `memory` is fresh. */
export function writeConstants(memory: WebAssembly.Memory): void {
  const words = new Int32Array(memory.buffer);
  const floats = new Float32Array(memory.buffer);
  const at = (address: number): [number, number] => [
    address / 4,
    address / 4 + 4,
  ];
  words.fill(0x8fffe000, ...at(64)); // HALF_MASK
  words.fill(0x0f0f0f0f, ...at(80)); // LOW_NIBBLES
  words.fill(0x10101010, ...at(96)); // FIFTH_BITS
  floats.fill(-125, ...at(112)); // EXP_LEAST
  floats.fill(1.5 * 2 ** 23, ...at(128)); // EXP_ROUND
  writeBooks(memory);
  EXP_TERMS.forEach((c, i) => floats.fill(c, ...at(144 + 16 * i)));
}
